# One AMI of two volumes: the system, and a chain that is synced. The provisioners are in ../ami; what is left of the
# chain's secrets is found by validate, the last of them.

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
  local = var.custom_endpoint_ec2 != ""
  # Where no network is named, a builder without a public address is open to private ones only.
  private      = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
  source_cidrs = length(var.ssh_source_cidrs) > 0 ? var.ssh_source_cidrs : (var.ssh_interface == "private_ip" ? local.private : [])
  tags = merge(var.tags, {
    "Name"                    = var.name
    "t0rn-agent:name"         = var.name
    "t0rn-agent:architecture" = var.architecture
    "t0rn-agent:baked-from"   = var.source_chain_snapshot != "" ? var.source_chain_snapshot : (var.seed_url != "" ? "seed" : "genesis")
  })
  as_root = "chmod +x '{{ .Path }}'; {{ .Vars }} sudo --preserve-env=DEBIAN_FRONTEND,DEB,DOWNLOADS,CHAIN_VOLUME,SEED_URL,SEED_SHA256,WITHIN,CREDIBLE,DEADLINE '{{ .Path }}'"
}

source "amazon-ebs" "image" {
  region        = var.region
  instance_type = var.instance_type

  source_ami = var.source_ami
  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters = {
      name                = "debian-12-${var.architecture == "arm64" ? "arm64" : "amd64"}-*"
      architecture        = var.architecture
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }

  ami_name        = "${var.name}-${local.stamp}"
  ami_description = "t0rn-agent with a synced chain: what is inside, its tags say, and bake.json on the chain's volume"
  # The tags that the certificate has are added afterwards by packer/tag.
  tags            = local.tags
  snapshot_tags   = local.tags
  run_tags        = local.tags
  run_volume_tags = local.tags

  launch_block_device_mappings {
    device_name           = var.root_device
    volume_type           = "gp3"
    volume_size           = var.root_gib
    iops                  = 3000
    throughput            = 125
    encrypted             = true
    kms_key_id            = var.kms_key_id
    delete_on_termination = true
  }
  launch_block_device_mappings {
    device_name           = "/dev/sdf"
    volume_type           = "gp3"
    volume_size           = var.chain_gib
    iops                  = 3000
    throughput            = 250
    snapshot_id           = var.source_chain_snapshot
    encrypted             = true
    kms_key_id            = var.kms_key_id
    delete_on_termination = true
  }
  # EC2 takes the volumes from the builder, and from here nothing but whether they end with the instance. They do: the
  # image is where a chain comes from.
  ami_block_device_mappings {
    device_name           = var.root_device
    delete_on_termination = true
  }
  ami_block_device_mappings {
    device_name           = "/dev/sdf"
    delete_on_termination = true
  }

  imds_support = "v2.0"
  deprecate_at = timeadd(timestamp(), "2160h")
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  temporary_key_pair_type                   = "ed25519"
  security_group_id                         = var.security_group_id
  temporary_security_group_source_cidrs     = local.source_cidrs
  temporary_security_group_source_public_ip = var.ssh_interface == "public_ip" && length(var.ssh_source_cidrs) == 0 && var.security_group_id == ""

  subnet_id                   = var.subnet_id
  associate_public_ip_address = var.ssh_interface == "public_ip"
  iam_instance_profile        = var.instance_profile
  user_data_file              = var.user_data_file
  ssh_interface               = var.ssh_interface
  ssh_username                = var.ssh_username
  ssh_timeout                 = "10m"
  # A sync says nothing for long.
  ssh_keep_alive_interval = "15s"

  # 30 s times 480: four hours. The first snapshot of a chain takes more than the ten minutes that Packer waits.
  aws_polling {
    delay_seconds = local.local ? 1 : 30
    max_attempts  = 480
  }

  custom_endpoint_ec2        = var.custom_endpoint_ec2
  skip_region_validation     = local.local
  skip_credential_validation = local.local
  skip_metadata_api_check    = local.local
  ssh_host                   = var.ssh_host
  ssh_private_key_file       = var.ssh_private_key_file
}

build {
  sources = ["source.amazon-ebs.image"]

  provisioner "shell" {
    inline = ["command -v cloud-init >/dev/null && sudo cloud-init status --wait || true", "mkdir -p /tmp/t0rn/downloads"]
  }
  provisioner "file" {
    source      = "${path.root}/../ami"
    destination = "/tmp/t0rn"
  }
  provisioner "file" {
    source      = "${path.root}/validate"
    destination = "/tmp/t0rn/validate"
  }
  provisioner "file" {
    source      = "${path.root}/validate.d"
    destination = "/tmp/t0rn"
  }
  provisioner "file" {
    source      = var.agent_deb
    destination = "/tmp/t0rn/agent.deb"
  }
  provisioner "file" {
    source      = var.agent_config
    destination = "/tmp/t0rn/agent.toml"
  }
  provisioner "file" {
    source      = "${var.downloads}/"
    destination = "/tmp/t0rn/downloads/"
  }

  provisioner "shell" {
    environment_vars = ["DEBIAN_FRONTEND=noninteractive", "DEB=/tmp/t0rn/agent.deb", "DOWNLOADS=/tmp/t0rn/downloads", "CHAIN_VOLUME=${var.chain_volume}"]
    execute_command  = local.as_root
    inline_shebang   = "/bin/bash -e"
    inline           = ["bash /tmp/t0rn/ami/install.sh", "bash /tmp/t0rn/ami/harden.sh"]
  }
  provisioner "shell" {
    environment_vars = ["SEED_URL=${var.seed_url}", "SEED_SHA256=${var.seed_sha256}"]
    execute_command  = local.as_root
    script           = "${path.root}/seed"
  }
  provisioner "shell" {
    environment_vars = ["WITHIN=${var.within}", "CREDIBLE=${var.credible}", "DEADLINE=${var.deadline}"]
    execute_command  = local.as_root
    script           = "${path.root}/sync"
  }
  provisioner "file" {
    direction   = "download"
    source      = "/tmp/t0rn/bake.json"
    destination = "${var.output}/bake.json"
  }

  provisioner "shell" {
    execute_command = local.as_root
    inline_shebang  = "/bin/bash -e"
    inline = [
      # Cleaning empties /tmp, and takes the baking user's right to sudo away.
      "cp -r /tmp/t0rn/validate /tmp/t0rn/validate.d /run",
      "bash /tmp/t0rn/ami/clean.sh",
      "rm -rf /tmp/t0rn",
      var.before_validation != "" ? var.before_validation : ":",
      # Debian mounts /run without the right to execute what lies there.
      "bash /run/validate bake",
      "sync",
    ]
  }

  post-processor "manifest" {
    output     = "${var.output}/manifest.json"
    strip_path = true
    # What comes next is refused under another name.
    custom_data = { name = var.name }
  }
}
