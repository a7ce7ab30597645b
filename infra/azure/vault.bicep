// Where do webhook secrets and static tokens lie? In a vault that only the app's identity reads, from inside alone.
@minLength(3)
@maxLength(24)
param name string
param location string
param principalId string
param subnetId string
param vnetId string

@description('Whether the vault is reached from inside alone; otherwise any network reaches it, with an identity.')
param isPrivate bool

@description('The settings that are secrets, such as GANGLION_WEBHOOK_SECRET.')
param secretNames array

@description('Their values by name.')
@secure()
param secrets object

var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6' // Key Vault Secrets User

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  properties: {
    sku: {
      family: 'A'
      name: 'standard'
    }
    tenantId: subscription().tenantId
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 7
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }
}

resource kept 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = [
  for secret in secretNames: {
    parent: vault
    name: replace(secret, '_', '-')
    properties: {
      value: secrets[secret]
      contentType: 'text/plain'
    }
  }
]

resource granted 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, secretsUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

module endpoint 'endpoint.bicep' = if (isPrivate) {
  name: 'vault-endpoint'
  params: {
    name: name
    location: location
    serviceId: vault.id
    groupId: 'vault'
    zoneName: 'privatelink.vaultcore.azure.net'
    subnetId: subnetId
    vnetId: vnetId
  }
}

var references = [
  for secret in secretNames: '"${secret}":"@Microsoft.KeyVault(VaultName=${name};SecretName=${replace(secret, '_', '-')})"'
]

@description('The settings as references, which the platform resolves with the identity of the app.')
output references object = json('{${join(references, ',')}}')
