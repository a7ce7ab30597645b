// Where do the package and the durable queues lie? In an account without keys, reached from inside alone.
@minLength(3)
@maxLength(24)
param name string
param location string
param principalId string
param subnetId string
param vnetId string

@description('Whether the account is reached from inside alone; otherwise any network reaches it, with an identity.')
param isPrivate bool

var roles = {
  blobs: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // Storage Blob Data Owner
  queues: '974c5e8b-45b9-4653-ba55-5f855dd0fb88' // Storage Queue Data Contributor
  tables: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor
}

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: name
  location: location
  kind: 'StorageV2'
  sku: { name: isPrivate ? 'Standard_ZRS' : 'Standard_LRS' }
  properties: {
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: account
  name: 'default'
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: 'packages'
}

resource granted 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in items(roles): {
    name: guid(account.id, principalId, role.value)
    scope: account
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.value)
    }
  }
]

module endpoints 'endpoint.bicep' = [
  for part in (isPrivate ? ['blob', 'queue', 'table'] : []): {
    name: 'storage-${part}'
    params: {
      name: name
      location: location
      serviceId: account.id
      groupId: part
      zoneName: 'privatelink.${part}.${environment().suffixes.storage}'
      subnetId: subnetId
      vnetId: vnetId
    }
  }
]

output accountName string = account.name
output packageContainer string = '${account.properties.primaryEndpoints.blob}${packages.name}'
