"""An app that can't be loaded: does its author see why?"""

import azure.functions as func

app = func.FunctionApp()

ratio = 1 / 0
