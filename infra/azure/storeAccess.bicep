// How does a second app use the store of another one? Its identity gets the same role on the account, in its group.
param accountName string
param principalId string

var dataContributor = '00000000-0000-0000-0000-000000000002'
var databaseName = 'ganglion'

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' existing = {
  name: accountName
}

resource granted 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = {
  parent: account
  name: guid(account.id, principalId, dataContributor)
  properties: {
    principalId: principalId
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/${dataContributor}'
    scope: '${account.id}/dbs/${databaseName}'
  }
}

output url string = account.properties.documentEndpoint
output database string = databaseName
