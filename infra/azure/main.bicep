// What does Ganglion need in Azure? A Flex Consumption app, its identity, its network, its store and its telemetry.
targetScope = 'resourceGroup'

@description('What every name begins with: 3 to 11 lower-case letters and digits.')
@minLength(3)
@maxLength(11)
param name string

@description('A region with Flex Consumption, such as eastus: `make deployment STEP=check` refuses any other.')
@maxLength(40)
param location string = resourceGroup().location

@description('standard: own network, private endpoints. small: for a trial, services ask for identities alone.')
@allowed(['standard', 'small'])
param profile string = 'standard'

@description('The audience that access tokens must be made for: the id of the application registered for the API, a GUID.')
@minLength(1)
@maxLength(200)
param tokenAudience string

@description('Ids of the Entra tenants whose users and apps may call, such as 00000000-0000-0000-0000-000000000000.')
@minLength(1)
@maxLength(100)
param tokenTenants array

@description('The scope of the Entra token that Google accepts, such as api://ganglion-federation/.default. Empty: no backend at Google.')
@maxLength(200)
param googleSubjectScope string = ''

@description('The output "provider" of infra/google, such as projects/NUMBER/locations/global/workloadIdentityPools/…')
@maxLength(200)
param googleProvider string = ''

@description('The output "service_account" of infra/google, such as ganglion-caller@my-project.iam.gserviceaccount.com.')
@maxLength(200)
param googleServiceAccount string = ''

@description('Addresses of backends and sources by the name of their variable, such as GANGLION_CLOUD_RUN_L4_URL.')
param addresses object = {}

@description('Further settings, such as budgets and limits: docs/operations.md lists them. The deployment history hides them.')
@secure()
param settings object = {}

@description('The settings among `secrets`, such as a variable of webhooks.toml. With the first one comes a Key Vault, and each becomes a reference to it.')
@maxLength(50)
param secretNames array = []

@description('Values of secrets by the name of their setting, such as secrets of webhooks and static bearers of backends.')
@secure()
param secrets object = {}

@description('Origins whose pages may call from a browser, such as https://chat.example.com.')
@maxLength(100)
param corsOrigins array = []

@description('Memory of an instance, in MB, without what the platform adds. 512 MB have a quarter of a core, for about 50 calls at once.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 512

@description('Calls that one instance serves at once; they wait most of their time.')
@minValue(1)
@maxValue(1000)
param concurrency int = 50

@description('Instances of the app at most.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Where orchestrations keep their state.')
@allowed(['durableTaskScheduler', 'azureStorage'])
param durability string = 'durableTaskScheduler'

@description('Consumption pays for each action; Dedicated rents capacity.')
@allowed(['Consumption', 'Dedicated'])
param schedulerSku string = 'Consumption'

@description('Addresses that may call the scheduler, which also asks each caller for its identity.')
@minLength(1)
@maxLength(100)
param schedulerAddresses array = ['0.0.0.0/0']

@description('Object ids of people who may use the dashboard of the scheduler, such as 00000000-0000-0000-0000-000000000000.')
@maxLength(100)
param operators array = []

@description('Instances of the group "durable" that are always there; with Azure Storage, one has to watch the queues.')
@minValue(0)
@maxValue(1000)
param durableInstances int = durability == 'azureStorage' ? 1 : 0

@description('Instances of the group "http" that are always there: no caller waits for a cold start of the app.')
@minValue(0)
@maxValue(1000)
param httpInstances int = 0

@description('Whether the app and the store are spread over zones.')
param zoneRedundant bool = false

@description('Whether all calls leave through one fixed address (a NAT gateway).')
param fixedAddress bool = false

@description('RollingUpdate lets running turns end on their old instances; Recreate breaks every stream once.')
@allowed(['RollingUpdate', 'Recreate'])
param updateStrategy string = 'RollingUpdate'

@description('Whether App Service Authentication checks tokens before the app does.')
param platformAuthentication bool = false

@description('Throughput of the store in request units a second at most, from 1000 on; 0 pays for each request instead (serverless).')
@minValue(0)
@maxValue(1000000)
param maximumThroughput int = 0

@description('Further regions of the store in the order of failover, such as westus2: two of them, and maximumThroughput above 0.')
@maxLength(5)
param storeRegions array = []

@description('The store of another deployment, for blue/green or a second region, such as /subscriptions/…/databaseAccounts/ganglion-abc123. Empty: a store of its own.')
@maxLength(400)
param storeId string = ''

@description('Whether files of up to 200 MB are kept as blobs (GANGLION_BLOB_URL); otherwise the store keeps them, up to GANGLION_FILE_LIMIT.')
param fileStorage bool = false

@description('Queues of the storage account whose messages start pipelines, such as orders.')
@maxLength(50)
param queueNames array = []

@description('Containers of the storage account whose new blobs start pipelines, such as inbox: each is a message in the queue blob-events.')
@maxLength(50)
param watchedContainers array = []

@description('Who gets the alarms of alerts.json, such as operations@example.com. Empty: no alarm is created.')
@maxLength(254)
param alarmEmail string = ''

@description('US dollars a month of this resource group above which Azure sends an e-mail to alarmEmail; 0: no budget.')
@minValue(0)
@maxValue(1000000)
param monthlyBudget int = 0

@description('The first day of the month in which that budget begins, such as 2026-12-01.')
@maxLength(10)
param budgetStart string = ''

@description('Gigabytes a day after which the log workspace takes no more; -1: no cap.')
@minValue(-1)
@maxValue(10000)
param dailyCapGb int = 1

var isPrivate = profile == 'standard'
var suffix = take(uniqueString(resourceGroup().id), 6)
var googleSettings = {
  GANGLION_GOOGLE_PROVIDER: googleProvider
  GANGLION_GOOGLE_SUBJECT_SCOPE: googleSubjectScope
  GANGLION_GOOGLE_SERVICE_ACCOUNT: googleServiceAccount
}

var google = empty(googleProvider) ? {} : googleSettings

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: '${name}-app'
  location: location
}

module network 'network.bicep' = if (isPrivate) {
  name: 'network'
  params: {
    name: name
    location: location
    fixedAddress: fixedAddress
  }
}

var endpointsSubnetId = isPrivate ? network!.outputs.endpointsSubnetId : ''
var vnetId = isPrivate ? network!.outputs.vnetId : ''

module storage 'storage.bicep' = {
  name: 'storage'
  params: {
    name: '${name}${suffix}'
    location: location
    principalId: identity.properties.principalId
    subnetId: endpointsSubnetId
    vnetId: vnetId
    isPrivate: isPrivate
    keepsFiles: fileStorage
    queueNames: queueNames
    watchedContainers: watchedContainers
  }
}

module store 'cosmos.bicep' = if (empty(storeId)) {
  name: 'store'
  params: {
    name: '${name}-${suffix}'
    location: location
    principalId: identity.properties.principalId
    subnetId: endpointsSubnetId
    vnetId: vnetId
    isPrivate: isPrivate
    maximumThroughput: maximumThroughput
    zoneRedundant: zoneRedundant
    regions: storeRegions
  }
}

// An id has the parts /subscriptions/2/resourceGroups/4/providers/6/7/8.
var storePath = split(empty(storeId) ? '${resourceGroup().id}/providers/none/none/none' : storeId, '/')

module otherStore 'storeAccess.bicep' = if (!empty(storeId)) {
  name: 'store-access'
  scope: resourceGroup(storePath[2], storePath[4])
  params: {
    accountName: storePath[8]
    principalId: identity.properties.principalId
  }
}

module otherEndpoint 'endpoint.bicep' = if (!empty(storeId) && isPrivate) {
  name: 'other-store-endpoint'
  params: {
    name: '${name}-store'
    location: location
    serviceId: storeId
    groupId: 'Sql'
    zoneName: 'privatelink.documents.azure.com'
    subnetId: endpointsSubnetId
    vnetId: vnetId
  }
}

module telemetry 'telemetry.bicep' = {
  name: 'telemetry'
  params: {
    name: name
    location: location
    principalId: identity.properties.principalId
    dailyCapGb: dailyCapGb
  }
}

module boards 'boards.bicep' = {
  name: 'boards'
  params: {
    name: name
    location: location
    workspaceId: telemetry.outputs.workspaceId
  }
}

module alerts 'alerts.bicep' = if (!empty(alarmEmail)) {
  name: 'alerts'
  params: {
    name: name
    location: location
    workspaceId: telemetry.outputs.workspaceId
    email: alarmEmail
  }
}

module budget 'budget.bicep' = if (monthlyBudget > 0) {
  name: 'budget'
  params: {
    name: name
    amount: monthlyBudget
    start: budgetStart
    email: alarmEmail
  }
}

module vault 'vault.bicep' = if (!empty(secretNames)) {
  name: 'vault'
  params: {
    name: '${name}-${suffix}'
    location: location
    principalId: identity.properties.principalId
    subnetId: endpointsSubnetId
    vnetId: vnetId
    isPrivate: isPrivate
    secretNames: secretNames
    secrets: secrets
  }
}

module scheduler 'scheduler.bicep' = if (durability == 'durableTaskScheduler') {
  name: 'scheduler'
  params: {
    name: '${name}-${suffix}'
    location: location
    principalId: identity.properties.principalId
    clientId: identity.properties.clientId
    hub: 'ganglion'
    sku: schedulerSku
    allowedAddresses: schedulerAddresses
    operators: operators
  }
}

// host.json names Azure Storage; these settings put the scheduler in its place.
var schedulerSettings = {
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
  AzureFunctionsJobHost__extensionBundle__version: '[4.32.0, 5.0.0)'
  DURABLE_TASK_SCHEDULER_CONNECTION_STRING: durability == 'durableTaskScheduler' ? scheduler!.outputs.connection : ''
}
var durable = durability == 'durableTaskScheduler' ? schedulerSettings : {}
var references = empty(secretNames) ? {} : vault!.outputs.references

// These come last: no further setting can move the app to the task hub of another app.
var hubSettings = {
  AzureWebJobsStorage__accountName: storage.outputs.accountName
  AzureWebJobsStorage__clientId: identity.properties.clientId
  AzureWebJobsStorage__credential: 'managedidentity'
}

var ownSettings = {
  APPLICATIONINSIGHTS_CONNECTION_STRING: telemetry.outputs.connectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
  AZURE_FUNCTIONS_DURABLE_STRICT_TYPING: '1'
  AzureWebJobsDisableHomepage: 'true'
  GANGLION_STORE: 'cosmos'
  GANGLION_COSMOS_URL: empty(storeId) ? store!.outputs.url : otherStore!.outputs.url
  GANGLION_COSMOS_DATABASE: empty(storeId) ? store!.outputs.database : otherStore!.outputs.database
  GANGLION_FLUSH_S: '0.25'
  GANGLION_IDENTITY_CLIENT_ID: identity.properties.clientId
  GANGLION_TOKEN_AUDIENCE: tokenAudience
  GANGLION_TOKEN_TENANTS: join(tokenTenants, ',')
}

// The host refuses bodies above 100 MB unless this says more.
var blobSettings = {
  GANGLION_BLOB_URL: storage.outputs.blobUrl
  FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '220200960'
}
var fileSettings = fileStorage ? blobSettings : {}

module app 'app.bicep' = {
  name: 'app'
  params: {
    name: '${name}-${suffix}'
    location: location
    identityId: identity.id
    subnetId: isPrivate ? network!.outputs.appSubnetId : ''
    packageContainer: storage.outputs.packageContainer
    corsOrigins: corsOrigins
    instanceMemoryMB: instanceMemoryMB
    concurrency: concurrency
    maximumInstanceCount: maximumInstanceCount
    durableInstances: durableInstances
    httpInstances: httpInstances
    zoneRedundant: zoneRedundant
    updateStrategy: updateStrategy
    authenticationAudience: platformAuthentication ? tokenAudience : ''
    settings: union(ownSettings, google, fileSettings, addresses, settings, references, hubSettings, durable)
  }
}

@description('The name that `func azure functionapp publish` takes.')
output app string = app.outputs.name

@description('The base_url of an OpenAI SDK.')
output url string = '${app.outputs.url}/v1'

@description('The origin of the app, which azd hands to its hooks.')
output GANGLION_URL string = app.outputs.url

@description('The subject that infra/google trusts: the object id of the identity.')
output identityObjectId string = identity.properties.principalId
