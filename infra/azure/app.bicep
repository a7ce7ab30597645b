// How does the app run? On Flex Consumption, inside the network, replaced instance by instance.
param name string
param location string
param identityId string

@description('The subnet of the instances. Empty: no network of their own.')
param subnetId string
param packageContainer string

@secure()
param settings object
param corsOrigins array
param instanceMemoryMB int
param concurrency int
param maximumInstanceCount int
param durableInstances int
param httpInstances int
param zoneRedundant bool

@allowed(['RollingUpdate', 'Recreate'])
param updateStrategy string

@description('The application that App Service Authentication asks a token for. Empty: the app alone checks tokens.')
param authenticationAudience string

var groups = [
  { name: 'durable', instanceCount: durableInstances }
  { name: 'http', instanceCount: httpInstances }
]

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: '${name}-plan'
  location: location
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: { 'azd-service-name': 'app' }
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainer
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: filter(groups, group => group.instanceCount > 0)
        triggers: { http: { perInstanceConcurrency: concurrency } }
      }
      siteUpdateStrategy: { type: updateStrategy }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      cors: {
        allowedOrigins: corsOrigins
        supportCredentials: false
      }
    }
  }
}

resource environmentVariables 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: settings
}

resource noPasswords 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = [
  for kind in ['ftp', 'scm']: {
    parent: site
    name: kind
    properties: { allow: false }
  }
]

// Streams are answers to POST, so a browser asks first (CORS preflight), without a token: that must pass.
resource authentication 'Microsoft.Web/sites/config@2025-03-01' = if (!empty(authenticationAudience)) {
  parent: site
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      excludedPaths: ['/healthz', '/readyz']
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: authenticationAudience
          openIdIssuer: '${environment().authentication.loginEndpoint}${subscription().tenantId}/v2.0'
        }
        validation: { allowedAudiences: [authenticationAudience, 'api://${authenticationAudience}'] }
      }
    }
    login: { tokenStore: { enabled: false } }
  }
}

output name string = site.name
output url string = 'https://${site.properties.defaultHostName}'
