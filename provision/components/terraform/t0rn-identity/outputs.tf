output "volume_id" {
  description = "The volume with keystore and node key."
  value       = aws_ebs_volume.this.id
}

output "availability_zone" {
  description = "The zone of the volume, and so of the collator."
  value       = aws_ebs_volume.this.availability_zone
}

output "kms_key_arn" {
  description = "The key that was given for the volume, which the collator's role has to use; null with the account's default key."
  value       = var.kms_key_arn
}
