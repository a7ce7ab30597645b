// Which networks are there? One for the app's instances, one for the private endpoints of what it reads and writes.
param name string
param location string

@description('Whether all calls leave through one fixed address, which a partner can allow.')
param fixedAddress bool

resource address 'Microsoft.Network/publicIPAddresses@2024-07-01' = if (fixedAddress) {
  name: '${name}-egress'
  location: location
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

resource gateway 'Microsoft.Network/natGateways@2024-07-01' = if (fixedAddress) {
  name: '${name}-nat'
  location: location
  sku: { name: 'Standard' }
  properties: {
    idleTimeoutInMinutes: 10
    publicIpAddresses: [{ id: address.id }]
  }
}

resource vnet 'Microsoft.Network/virtualNetworks@2024-07-01' = {
  name: '${name}-vnet'
  location: location
  properties: {
    addressSpace: { addressPrefixes: ['10.20.0.0/16'] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: '10.20.0.0/24'
          natGateway: fixedAddress ? { id: gateway.id } : null
          delegations: [
            {
              name: 'flex'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: '10.20.1.0/24' }
      }
    ]
  }
}

output vnetId string = vnet.id
output appSubnetId string = '${vnet.id}/subnets/app'
output endpointsSubnetId string = '${vnet.id}/subnets/endpoints'
