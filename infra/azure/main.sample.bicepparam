// Copy it to main.bicepparam and put in what is yours.
using 'main.bicep'

param name = 'ganglion'
param tokenAudience = '00000000-0000-0000-0000-000000000000'
param tokenTenants = ['00000000-0000-0000-0000-000000000000']
param googleSubjectScope = 'api://ganglion-federation/.default'
param googleProvider = 'projects/000000000000/locations/global/workloadIdentityPools/ganglion/providers/azure'
param googleServiceAccount = 'ganglion-caller@my-project.iam.gserviceaccount.com'
param addresses = {
  GANGLION_CLOUD_RUN_L4_URL: 'https://ganglion-llm-000000000000.us-central1.run.app'
}
param settings = {
  GANGLION_BUDGET_TENANT_MONTH: '300'
}
