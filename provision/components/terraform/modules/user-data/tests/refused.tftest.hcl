# What the agent would refuse on the host is refused at plan, and what is a secret too.
variables {
  collator_image = "3h4xx/t0rn-collator:v1.2.0-rc.4"
}

run "takes_what_only_looks_like_a_secret" {
  command = plan

  variables {
    collator_env     = { RUST_LOG = "info", AUTHORITY_DISCOVERY = "on", BYPASS = "1", TELEMETRY = "wss://example.com:443/a@b", KEYSTORE_PATH = "/node/keystore", NODE_KEY_FILE = "/node/identity/node-key" }
    collator_command = ["--node-key-file=/node/key", "--password-filename=/node/word", "--bob-cat", "--", "--chain", "rococo", "text\twith\nlines"]
  }

  assert {
    condition     = strcontains(output.agent_toml, "--node-key-file")
    error_message = output.agent_toml
  }
}

run "takes_the_ends_of_what_the_agent_takes" {
  command = plan

  variables {
    collator_ports = ["65535:1/udp", "0.0.0.0:9999:59999/udp"]
    agent_settings = { collator = { stop_timeout = "59m60s", nofile = "1024", network = "nonet", memory = "6MiB" }, host = { disk_warn_percent = "0" }, metrics = { listen = "[::]:65535" } }
  }

  assert {
    condition     = strcontains(output.agent_toml, "stop_timeout = \"59m60s\"")
    error_message = output.agent_toml
  }
}

run "refuses_a_null_in_the_command" {
  command = plan

  variables {
    collator_command = ["--collator", null]
  }

  expect_failures = [var.collator_command]
}

run "refuses_a_control_character_in_the_command" {
  command = plan

  variables {
    collator_command = ["--name=a\u007fb"]
  }

  expect_failures = [var.collator_command]
}

run "refuses_a_zero_byte_in_the_command" {
  command = plan

  variables {
    collator_command = ["--name=a\u0000b"]
  }

  expect_failures = [var.collator_command]
}

run "refuses_a_null_in_the_environment" {
  command = plan

  variables {
    collator_env = { RUST_LOG = null }
  }

  expect_failures = [var.collator_env]
}

run "refuses_a_control_character_in_the_environment" {
  command = plan

  variables {
    collator_env = { RUST_LOG = "a\u0000b" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_a_port_that_there_is_not" {
  command = plan

  variables {
    collator_ports = ["65536:1"]
  }

  expect_failures = [var.collator_ports]
}

run "refuses_port_zero" {
  command = plan

  variables {
    collator_ports = ["1:0"]
  }

  expect_failures = [var.collator_ports]
}

run "refuses_an_address_that_there_is_not" {
  command = plan

  variables {
    collator_ports = ["127.0.0.256:1:1"]
  }

  expect_failures = [var.collator_ports]
}

run "refuses_an_empty_prefix" {
  command = plan

  variables {
    chains = { parachain = { metrics = "http://127.0.0.1:7001/metrics", prefix = "" } }
  }

  expect_failures = [var.chains]
}

run "refuses_an_exporter_by_tls" {
  command = plan

  variables {
    chains = { parachain = { metrics = "https://127.0.0.1:7001/metrics" } }
  }

  expect_failures = [var.chains]
}

run "refuses_an_exporter_at_no_port" {
  command = plan

  variables {
    chains = { parachain = { metrics = "http://127.0.0.1:70010/metrics" } }
  }

  expect_failures = [var.chains]
}

run "refuses_an_image_with_an_empty_part" {
  command = plan

  variables {
    collator_image = "a//b:1"
  }

  expect_failures = [var.collator_image]
}

run "refuses_a_way_up" {
  command = plan

  variables {
    collator_mounts = [{ source = "/var/../etc", target = "/a" }]
  }

  expect_failures = [var.collator_mounts]
}

run "refuses_too_many_restarts" {
  command = plan

  variables {
    agent_settings = { restart = { budget = "101" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_too_few_files" {
  command = plan

  variables {
    agent_settings = { collator = { nofile = "100" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_number_with_a_zero_before_it" {
  command = plan

  variables {
    agent_settings = { health = { lag_blocks = "010" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_stop_without_end" {
  command = plan

  variables {
    agent_settings = { collator = { stop_timeout = "61m" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_stop_in_parts_without_end" {
  command = plan

  variables {
    agent_settings = { collator = { stop_timeout = "59m61s" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_too_little_memory" {
  command = plan

  variables {
    agent_settings = { collator = { memory = "5MiB" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_full_disk_as_warning" {
  command = plan

  variables {
    agent_settings = { host = { disk_warn_percent = "100" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_to_listen_at_no_port" {
  command = plan

  variables {
    agent_settings = { metrics = { listen = "127.0.0.1:65536" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_to_listen_at_a_name" {
  command = plan

  variables {
    agent_settings = { metrics = { listen = "localhost:9733" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_no_network" {
  command = plan

  variables {
    agent_settings = { collator = { network = "none" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_name_of_one_letter" {
  command = plan

  variables {
    agent_settings = { collator = { container = "a" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_the_root_as_data" {
  command = plan

  variables {
    agent_settings = { data = { path = "/" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_socket_with_a_long_path" {
  command = plan

  variables {
    agent_settings = { agent = { socket = "/run/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_setting_that_is_null" {
  command = plan

  variables {
    agent_settings = { health = { stall_after = null } }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_a_section_that_is_null" {
  command = plan

  variables {
    agent_settings = { health = null }
  }

  expect_failures = [var.agent_settings]
}

run "refuses_node_key_which_is_a_secret" {
  command = plan

  variables {
    collator_env = { NODE_KEY = "x" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_keystore_passphrase_which_is_a_secret" {
  command = plan

  variables {
    collator_env = { KEYSTORE_PASSPHRASE = "x" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_recovery_phrase_which_is_a_secret" {
  command = plan

  variables {
    collator_env = { RECOVERY_PHRASE = "x" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_db_pass_which_is_a_secret" {
  command = plan

  variables {
    collator_env = { DB_PASS = "x" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_pass_which_is_a_secret" {
  command = plan

  variables {
    collator_env = { PASS = "x" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_basic_auth_which_is_a_secret" {
  command = plan

  variables {
    collator_env = { BASIC_AUTH = "x" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_session_key_which_is_a_secret" {
  command = plan

  variables {
    collator_env = { SESSION_KEY = "x" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_a_password_in_a_url" {
  command = plan

  variables {
    collator_env = { TELEMETRY = "wss://me:word@example.com/submit" }
  }

  expect_failures = [var.collator_env]
}

run "refuses_a_password_in_an_argument" {
  command = plan

  variables {
    collator_command = ["--telemetry-url=wss://me:word@example.com/submit 0"]
  }

  expect_failures = [var.collator_command]
}

run "refuses_dev" {
  command = plan

  variables {
    collator_command = ["--collator", "--dev"]
  }

  expect_failures = [var.collator_command]
}

run "refuses_one" {
  command = plan

  variables {
    collator_command = ["--collator", "--one"]
  }

  expect_failures = [var.collator_command]
}

run "refuses_two" {
  command = plan

  variables {
    collator_command = ["--collator", "--two"]
  }

  expect_failures = [var.collator_command]
}

run "refuses_bob" {
  command = plan

  variables {
    collator_command = ["--collator", "--Bob"]
  }

  expect_failures = [var.collator_command]
}

run "refuses_suri_alice" {
  command = plan

  variables {
    collator_command = ["--collator", "--suri=//Alice"]
  }

  expect_failures = [var.collator_command]
}

run "refuses_a_list_that_is_none" {
  command = plan

  variables {
    agent_lists = { collator = { image = ["a:1"] } }
  }

  expect_failures = [var.agent_lists]
}

run "refuses_a_list_in_a_section_that_has_none" {
  command = plan

  variables {
    agent_lists = { health = { cap_add = ["CHOWN"] } }
  }

  expect_failures = [var.agent_lists]
}

run "refuses_a_capability_in_small_letters" {
  command = plan

  variables {
    agent_lists = { collator = { cap_add = ["chown"] } }
  }

  expect_failures = [var.agent_lists]
}

run "refuses_a_repository_with_a_tag" {
  command = plan

  variables {
    agent_lists = { update = { repositories = ["org/node:v1"] } }
  }

  expect_failures = [var.agent_lists]
}

run "refuses_a_domain_with_a_port" {
  command = plan

  variables {
    agent_lists = { metrics = { hosts = ["collator.example.com:9733"] } }
  }

  expect_failures = [var.agent_lists]
}

run "refuses_a_list_that_is_null" {
  command = plan

  variables {
    agent_lists = { metrics = { hosts = null } }
  }

  expect_failures = [var.agent_lists]
}

run "refuses_a_null_in_a_list" {
  command = plan

  variables {
    agent_lists = { metrics = { hosts = [null] } }
  }

  expect_failures = [var.agent_lists]
}

run "refuses_lists_of_a_section_that_are_null" {
  command = plan

  variables {
    agent_lists = { metrics = null }
  }

  expect_failures = [var.agent_lists]
}

run "refuses_a_mount_that_is_null" {
  command = plan

  variables {
    collator_image  = "3h4xx/t0rn-collator:v1.2.0-rc.4"
    collator_mounts = [null]
  }

  expect_failures = [var.collator_mounts]
}
