// Where does the state of orchestrations lie? In a Durable Task Scheduler that believes the app's identity alone.
param name string
param location string
param principalId string
param clientId string
param hub string

@description('Consumption pays for each action; Dedicated rents capacity.')
@allowed(['Consumption', 'Dedicated'])
param sku string

@description('Addresses that may call, as IPv4 or CIDR. An empty list would let nobody in.')
@minLength(1)
param allowedAddresses array

@description('Object ids of operators who may use the dashboard.')
param operators array

var contributor = '0ad04412-c4d5-4796-b79c-f76d14c8d402' // Durable Task Data Contributor

resource scheduler 'Microsoft.DurableTask/schedulers@2025-11-01' = {
  name: name
  location: location
  properties: {
    ipAllowlist: allowedAddresses
    sku: sku == 'Dedicated' ? { name: sku, capacity: 1 } : { name: sku }
  }
}

resource taskHub 'Microsoft.DurableTask/schedulers/taskHubs@2025-11-01' = {
  parent: scheduler
  name: hub
  properties: {}
}

resource granted 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(taskHub.id, principalId, contributor)
  scope: taskHub
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', contributor)
  }
}

resource watching 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for operator in operators: {
    name: guid(taskHub.id, operator, contributor)
    scope: taskHub
    properties: {
      principalId: operator
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', contributor)
    }
  }
]

@description('What the extension reads from DURABLE_TASK_SCHEDULER_CONNECTION_STRING; it has no secret.')
output connection string = 'Endpoint=${scheduler.properties.endpoint};TaskHub=${taskHub.name};Authentication=ManagedIdentity;ClientID=${clientId}'
