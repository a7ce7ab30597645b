// Who is told when the month becomes expensive? Azure's own budget, a second net below the app's budgets.
param name string

@description('US dollars a month of everything in this resource group. Azure reports, and stops nothing.')
@minValue(1)
param amount int

@description('The first day of the month in which the budget begins, such as 2026-12-01. It cannot change afterwards.')
param start string

param email string

var told = {
  enabled: true
  operator: 'GreaterThanOrEqualTo'
  thresholdType: 'Actual'
  contactEmails: [email]
}

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: '${name}-month'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: { startDate: start }
    notifications: {
      Actual80: union(told, { threshold: 80 })
      Actual100: union(told, { threshold: 100 })
      Actual150: union(told, { threshold: 150 })
    }
  }
}
