# Who is told when the month becomes expensive? Google's own budget, a second net below the app's budgets.

resource "google_monitoring_notification_channel" "budget" {
  count        = var.monthly_budget > 0 && var.budget_email != "" ? 1 : 0
  display_name = "${var.name} budget"
  type         = "email"
  labels       = { email_address = var.budget_email }
  depends_on   = [google_project_service.used]
}

resource "google_billing_budget" "month" {
  count           = var.monthly_budget > 0 ? 1 : 0
  billing_account = var.billing_account
  display_name    = "${var.name}-month"
  depends_on      = [google_project_service.used]

  budget_filter {
    projects        = ["projects/${data.google_project.here.number}"]
    calendar_period = "MONTH"
  }

  amount {
    specified_amount {
      currency_code = "USD"
      units         = tostring(var.monthly_budget)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.8, 1.0, 1.5]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    monitoring_notification_channels = google_monitoring_notification_channel.budget[*].name
    disable_default_iam_recipients   = false
  }
}
