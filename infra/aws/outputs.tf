output "role" {
  description = "The setting GANGLION_AWS_ROLE."
  value       = aws_iam_role.caller.arn
}
