// Which messages start pipelines? Those of queues, and one for each new blob of a watched container.
param name string
param location string

@description('Queues that pipelines read.')
param queueNames array

@description('Containers of the account whose new blobs are told to the queue "blob-events".')
param watchedContainers array

var told = 'blob-events'
var isWatching = !empty(watchedContainers)
var messageSender = 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a' // Storage Queue Data Message Sender

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: name
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2025-01-01' = {
  parent: account
  name: 'default'
}

resource read 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = [
  for queue in queueNames: {
    parent: queues
    name: queue
  }
]

resource news 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-01-01' = if (isWatching) {
  parent: queues
  name: told
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' existing = {
  parent: account
  name: 'default'
}

resource watched 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [
  for container in watchedContainers: {
    parent: blobs
    name: container
  }
]

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = if (isWatching) {
  name: '${name}-blobs'
  location: location
  identity: { type: 'SystemAssigned' }
  properties: {
    source: account.id
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource granted 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isWatching) {
  name: guid(news.id, name, messageSender)
  scope: news
  properties: {
    principalId: topic!.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', messageSender)
  }
}

resource subscriptions 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = [
  for container in watchedContainers: {
    parent: topic
    name: container
    properties: {
      eventDeliverySchema: 'CloudEventSchemaV1_0'
      deliveryWithResourceIdentity: {
        identity: { type: 'SystemAssigned' }
        destination: {
          endpointType: 'StorageQueue'
          properties: {
            resourceId: account.id
            queueName: told
            queueMessageTimeToLiveInSeconds: 604800
          }
        }
      }
      filter: {
        includedEventTypes: ['Microsoft.Storage.BlobCreated']
        subjectBeginsWith: '/blobServices/default/containers/${container}/'
      }
    }
    dependsOn: [granted]
  }
]
