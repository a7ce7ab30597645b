"""How does an Azure Functions app with Durable Functions run on this machine?"""
