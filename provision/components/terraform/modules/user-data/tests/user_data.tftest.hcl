variables {
  collator_image = "3h4xx/t0rn-collator:v1.2.0-rc.4"
}

run "only_what_is_given_is_written" {
  command = plan

  assert {
    condition     = output.agent_toml == "# Written by Terraform: a change here is lost with the instance.\n\n[collator]\nimage = \"3h4xx/t0rn-collator:v1.2.0-rc.4\"\n"
    error_message = "got ${output.agent_toml}"
  }
}

run "numbers_and_truths_stand_without_quotes" {
  command = plan

  variables {
    agent_settings = { health = { lag_blocks = "20", stall_after = "10m" }, identity = { required = "true", volume = "vol-0123456789abcdef0" } }
  }

  assert {
    condition     = strcontains(output.agent_toml, "[health]\nlag_blocks = 20\nstall_after = \"10m\"\n")
    error_message = "got ${output.agent_toml}"
  }

  assert {
    condition     = strcontains(output.agent_toml, "[identity]\nrequired = true\nvolume = \"vol-0123456789abcdef0\"\n")
    error_message = "got ${output.agent_toml}"
  }
}

run "lists_stand_in_their_section_with_and_without_other_settings" {
  command = plan

  variables {
    agent_settings = { collator = { nofile = "65536" } }
    agent_lists    = { collator = { cap_add = ["CHOWN", "SETUID"] }, metrics = { hosts = ["collator-1.example.com"] }, update = { repositories = ["registry.example.com:5000/t0rn/collator", "org/node"] } }
  }

  assert {
    condition     = strcontains(output.agent_toml, "nofile = 65536\ncap_add = [\"CHOWN\",\"SETUID\"]\n")
    error_message = "got ${output.agent_toml}"
  }

  assert {
    condition     = strcontains(output.agent_toml, "[metrics]\nhosts = [\"collator-1.example.com\"]\n\n[update]\nrepositories = [\"registry.example.com:5000/t0rn/collator\",\"org/node\"]\n")
    error_message = "got ${output.agent_toml}"
  }
}

run "the_same_variables_are_the_same_user_data" {
  command = plan

  assert {
    condition     = sha256(output.cloud_config) == "f6dc2733348389bcf74a48493c10d4edb91fe47175f6a3cf12c40c53120d9bf8"
    error_message = "the rendering changed, which replaces every instance: if that is meant, this is the new hash: ${sha256(output.cloud_config)}"
  }
}

run "refuses_more_than_ec2_takes" {
  command = plan

  variables {
    collator_command = [for n in range(1000) : "--bootnodes=/dns/a.example.com/tcp/33333/${n}"]
  }

  expect_failures = [output.cloud_config]
}

run "refuses_an_image_without_a_tag" {
  command = plan

  variables {
    collator_image = "3h4xx/t0rn-collator"
  }

  expect_failures = [var.collator_image]
}

run "refuses_the_latest_image" {
  command = plan

  variables {
    collator_image = "3h4xx/t0rn-collator:latest"
  }

  expect_failures = [var.collator_image]
}

run "refuses_a_digest_cut_short" {
  command = plan

  variables {
    collator_image = "3h4xx/t0rn-collator@sha256:0123"
  }

  expect_failures = [var.collator_image]
}

run "refuses_a_node_key_on_the_command_line" {
  command = plan

  variables {
    collator_command = ["--collator", "--node-key=0123"]
  }

  expect_failures = [var.collator_command]
}

run "refuses_a_key_that_everybody_knows" {
  command = plan

  variables {
    collator_command = ["--collator", "--alice"]
  }

  expect_failures = [var.collator_command]
}

run "refuses_a_secret_in_the_environment" {
  command = plan

  variables {
    collator_env = { KEYSTORE_PASSWORD = "x" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_a_variable_with_a_dash" {
  command = plan

  variables {
    collator_env = { RUST-LOG = "info" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_a_port_alone" {
  command = plan

  variables {
    collator_ports = ["33333"]
  }

  expect_failures = [var.collator_ports]
}

run "refuses_a_relative_mount" {
  command = plan

  variables {
    collator_mounts = [{ source = "keystore", target = "/node/keystore" }]
  }

  expect_failures = [var.collator_mounts]
}

run "refuses_a_third_chain" {
  command = plan

  variables {
    chains = { solochain = { metrics = "http://127.0.0.1:9615/metrics" } }
  }

  expect_failures = [var.chains]
}

run "refuses_an_exporter_without_a_scheme" {
  command = plan

  variables {
    chains = { parachain = { metrics = "127.0.0.1:7001" } }
  }

  expect_failures = [var.chains]
}

run "refuses_an_unknown_section" {
  command = plan

  variables {
    agent_settings = { helth = { stall_after = "10m" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_an_unknown_key" {
  command = plan

  variables {
    agent_settings = { health = { stall = "10m" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_duration_without_a_unit" {
  command = plan

  variables {
    agent_settings = { health = { stall_after = "10" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_size_in_words" {
  command = plan

  variables {
    agent_settings = { host = { disk_floor = "2 gigabytes" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_the_webhook_which_is_a_secret" {
  command = plan

  variables {
    agent_settings = { notify = { webhook = "https://hooks.example.com/T0/B0/x" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_section_that_has_a_variable_of_its_own" {
  command = plan

  variables {
    agent_settings = { chains = { parachain = "http://127.0.0.1:7001/metrics" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_volume_by_name" {
  command = plan

  variables {
    agent_settings = { identity = { volume = "keys" } }
  }

  expect_failures = [var.agent_settings]
}
