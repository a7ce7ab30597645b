// What does Ganglion need in Azure? A Flex Consumption app, its identity, its network, its store and its telemetry.
targetScope = 'resourceGroup'

@description('What every name begins with: 3 to 11 lower-case letters and digits.')
@minLength(3)
@maxLength(11)
param name string

param location string = resourceGroup().location

@description('The audience that access tokens must be made for: the id of the application registered for the API.')
param tokenAudience string

@description('Ids of the Entra tenants whose users and apps may call.')
@minLength(1)
param tokenTenants array

@description('The scope of the Entra token that Google accepts, api://<name>/.default. Empty: no backend at Google.')
param googleSubjectScope string = ''

@description('The output "provider" of infra/google.')
param googleProvider string = ''

@description('The output "service_account" of infra/google.')
param googleServiceAccount string = ''

@description('Addresses of backends and sources by the name of their variable, such as GANGLION_CLOUD_RUN_L4_URL.')
param addresses object = {}

@description('Further settings, as docs/operations.md lists them: budgets, limits.')
param settings object = {}

@description('Origins whose pages may call from a browser.')
param corsOrigins array = []

@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Calls that one instance serves at once; they wait most of their time.')
param concurrency int = 100

param maximumInstanceCount int = 40

@description('Instances of the group "durable" that are always there: with Azure Storage, one keeps its queues watched.')
param durableInstances int = 1

@description('Throughput of the store in request units a second at most; 0 pays for each request instead (serverless).')
param maximumThroughput int = 0

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

module network 'network.bicep' = {
  name: 'network'
  params: {
    name: name
    location: location
  }
}

module storage 'storage.bicep' = {
  name: 'storage'
  params: {
    name: '${name}${suffix}'
    location: location
    principalId: identity.properties.principalId
    subnetId: network.outputs.endpointsSubnetId
    vnetId: network.outputs.vnetId
  }
}

module store 'cosmos.bicep' = {
  name: 'store'
  params: {
    name: '${name}-${suffix}'
    location: location
    principalId: identity.properties.principalId
    subnetId: network.outputs.endpointsSubnetId
    vnetId: network.outputs.vnetId
    maximumThroughput: maximumThroughput
  }
}

module telemetry 'telemetry.bicep' = {
  name: 'telemetry'
  params: {
    name: name
    location: location
    principalId: identity.properties.principalId
  }
}

var ownSettings = {
  AzureWebJobsStorage__accountName: storage.outputs.accountName
  AzureWebJobsStorage__clientId: identity.properties.clientId
  AzureWebJobsStorage__credential: 'managedidentity'
  APPLICATIONINSIGHTS_CONNECTION_STRING: telemetry.outputs.connectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
  AZURE_FUNCTIONS_DURABLE_STRICT_TYPING: '1'
  GANGLION_STORE: 'cosmos'
  GANGLION_COSMOS_URL: store.outputs.url
  GANGLION_COSMOS_DATABASE: store.outputs.database
  GANGLION_FLUSH_S: '0.25'
  GANGLION_IDENTITY_CLIENT_ID: identity.properties.clientId
  GANGLION_TOKEN_AUDIENCE: tokenAudience
  GANGLION_TOKEN_TENANTS: join(tokenTenants, ',')
}

module app 'app.bicep' = {
  name: 'app'
  params: {
    name: '${name}-${suffix}'
    location: location
    identityId: identity.id
    subnetId: network.outputs.appSubnetId
    packageContainer: storage.outputs.packageContainer
    corsOrigins: corsOrigins
    instanceMemoryMB: instanceMemoryMB
    concurrency: concurrency
    maximumInstanceCount: maximumInstanceCount
    durableInstances: durableInstances
    settings: union(ownSettings, google, addresses, settings)
  }
}

@description('The name that `func azure functionapp publish` takes.')
output app string = app.outputs.name

@description('The base_url of an OpenAI SDK.')
output url string = '${app.outputs.url}/v1'

@description('The subject that infra/google trusts: the object id of the identity.')
output identityObjectId string = identity.properties.principalId
