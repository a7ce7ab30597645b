# How does the app's managed identity become an AWS role? Without a key: AWS trusts its Entra token.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
}

locals {
  issuer = "sts.windows.net/${var.azure_tenant}/"
}

resource "aws_iam_openid_connect_provider" "entra" {
  url            = "https://${local.issuer}"
  client_id_list = [var.federation_audience]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.entra.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = [var.federation_audience]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = [var.azure_identity_object_id]
    }
  }
}

resource "aws_iam_role" "caller" {
  name               = "${var.name}-caller"
  description        = "Calls the models for Ganglion"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "calls" {
  dynamic "statement" {
    for_each = length(var.bedrock_models) > 0 ? [1] : []
    content {
      actions   = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
      resources = var.bedrock_models
    }
  }
  dynamic "statement" {
    for_each = length(var.bedrock_models) > 0 ? [1] : []
    content {
      actions   = ["bedrock:CallWithBearerToken"]
      resources = ["*"]
    }
  }
  dynamic "statement" {
    for_each = length(var.sagemaker_endpoints) > 0 ? [1] : []
    content {
      actions   = ["sagemaker:InvokeEndpoint"]
      resources = var.sagemaker_endpoints
    }
  }
  dynamic "statement" {
    for_each = length(var.sagemaker_endpoints) > 0 ? [1] : []
    content {
      actions   = ["sagemaker:CallWithBearerToken"]
      resources = ["*"]
    }
  }
  dynamic "statement" {
    for_each = length(var.lambda_functions) > 0 ? [1] : []
    content {
      actions   = ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]
      resources = var.lambda_functions
    }
  }
}

resource "aws_iam_role_policy" "calls" {
  name   = "calls"
  role   = aws_iam_role.caller.id
  policy = data.aws_iam_policy_document.calls.json
}
