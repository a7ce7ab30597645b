// Where does the state lie? In Cosmos DB without keys, strongly consistent, reached from inside alone.
param name string
param location string
param principalId string
param subnetId string
param vnetId string
param maximumThroughput int
param zoneRedundant bool

@description('Further regions in the order of failover.')
param regions array

@description('Whether the account is reached from inside alone; otherwise any network reaches it, with an identity.')
param isPrivate bool

// `python -m clients.storage.cosmos.setup --print` writes it; a test compares.
var containers = loadJsonContent('containers.json')
var dataContributor = '00000000-0000-0000-0000-000000000002'
var isServerless = maximumThroughput == 0
var places = [
  for (region, index) in concat([location], regions): {
    locationName: region
    failoverPriority: index
    isZoneRedundant: zoneRedundant
  }
]

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' = {
  name: name
  location: location
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    capabilities: isServerless ? [{ name: 'EnableServerless' }] : []
    consistencyPolicy: { defaultConsistencyLevel: 'Strong' }
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: { tier: 'Continuous7Days' }
    }
    enableAutomaticFailover: !empty(regions)
    locations: places
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-04-15' = {
  parent: account
  name: 'ganglion'
  properties: {
    resource: { id: 'ganglion' }
    options: isServerless ? {} : { autoscaleSettings: { maxThroughput: maximumThroughput } }
  }
}

resource kept 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-04-15' = [
  for container in containers: {
    parent: database
    name: container.id
    properties: { resource: container }
  }
]

resource granted 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = {
  parent: account
  name: guid(account.id, principalId, dataContributor)
  properties: {
    principalId: principalId
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/${dataContributor}'
    scope: '${account.id}/dbs/${database.name}'
  }
}

module endpoint 'endpoint.bicep' = if (isPrivate) {
  name: 'store-endpoint'
  params: {
    name: name
    location: location
    serviceId: account.id
    groupId: 'Sql'
    zoneName: 'privatelink.documents.azure.com'
    subnetId: subnetId
    vnetId: vnetId
  }
}

output url string = account.properties.documentEndpoint
output database string = database.name
