variable "prefix" {
  description = "What the names of the topic and of its alarms begin with, such as t0rn-ec1-dev."
  type        = string
  nullable    = false
}

variable "region" {
  description = "Region of the alarms, such as eu-central-1."
  type        = string
  nullable    = false
}

variable "topic_arns" {
  description = "ARNs of further SNS topics that receive alarms."
  type        = set(string)
  nullable    = false
}

variable "emails" {
  description = "Addresses that alarms are mailed to, once each has been confirmed."
  type        = set(string)
  nullable    = false
}
