// Where does an operator look? In a workbook of the log workspace; `python -m scripts.boards` writes its panels.
param name string
param location string
param workspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, name, 'boards')
  location: location
  kind: 'shared'
  properties: {
    category: 'workbook'
    displayName: '${name}: money, starts, latency, errors, durability'
    serializedData: loadTextContent('workbook.json')
    sourceId: workspaceId
    version: 'Notebook/1.0'
  }
}
