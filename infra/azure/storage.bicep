// Where do the package, the durable queues and callers' large files lie? In an account without keys, reached from inside alone.
@minLength(3)
@maxLength(24)
param name string
param location string
param principalId string
param subnetId string
param vnetId string

@description('Whether the account is reached from inside alone; otherwise any network reaches it, with an identity.')
param isPrivate bool

@description('Whether there is a container for the contents of files that are too large for the store.')
param keepsFiles bool

@description('Queues that pipelines read.')
param queueNames array

@description('Containers of this account whose new blobs are told to the queue "blob-events".')
param watchedContainers array

var filesContainer = 'ganglion-files'
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
    // Event Grid is one of these services: it writes to a queue by its own identity, and has no private endpoint here.
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
    supportsHttpsTrafficOnly: true
  }
}

// Deleted means deleted: an owner's erasure is final, so nothing is kept for a restore.
resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: false }
    isVersioningEnabled: false
  }
}

resource packages 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: 'packages'
}

resource files 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = if (keepsFiles) {
  parent: blobs
  name: filesContainer
}

// The app deletes files when they expire; a file that nobody has written for a month costs half of the price here.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-01-01' = if (keepsFiles) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'old-files-are-cool'
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['${filesContainer}/']
            }
            actions: { baseBlob: { tierToCool: { daysAfterModificationGreaterThan: 30 } } }
          }
        }
      ]
    }
  }
}

module events 'events.bicep' = if (!empty(queueNames) || !empty(watchedContainers)) {
  name: 'events'
  params: {
    name: name
    location: location
    queueNames: queueNames
    watchedContainers: watchedContainers
  }
  dependsOn: [account]
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

@description('What GANGLION_BLOB_URL says.')
output blobUrl string = 'https://${account.name}.blob.${environment().suffixes.storage}'
