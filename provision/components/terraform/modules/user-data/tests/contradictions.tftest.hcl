# Values that contradict each other, of which the agent would say so only on the host. Where a key is not set, its default counts.
variables {
  collator_image = "3h4xx/t0rn-collator:v1.2.0-rc.4"
}

run "takes_what_only_just_agrees" {
  command = plan

  variables {
    collator_ports  = ["127.0.0.1:9000:1", "127.0.0.2:9000:2", "9000:3/udp", "127.0.0.2:9733:4", "9733:5/udp"]
    collator_mounts = [{ source = "/a", target = "/node/data2" }, { source = "/a", target = "/node/data/keystore" }]
    chains          = { parachain = { metrics = "http://127.0.0.1:7001/metrics" }, relaychain = { metrics = "http://127.0.0.1:9616/metrics" } }

    agent_settings = {
      health   = { scrape_interval = "1m", scrape_timeout = "60s", frozen_after = "2m", stall_after = "120s", isolated_after = "1m60s", finality_after = "1s" }
      restart  = { backoff_initial = "5m" }
      data     = { path = "/usrlocal/chain" }
      identity = { required = "true", volume = "vol-0123456789abcdef0", mount = "/usrlocal/chain-identity" }
      ec2      = { enabled = "auto" }
    }
  }

  assert {
    condition     = length(local.contradictions) == 0
    error_message = jsonencode(local.contradictions)
  }
}

run "takes_the_host_s_network_without_ports" {
  command = plan

  variables {
    agent_settings = { collator = { network = "host" }, metrics = { listen = "0.0.0.0:7001" } }
  }

  assert {
    condition     = strcontains(output.agent_toml, "network = \"host\"")
    error_message = output.agent_toml
  }
}

run "takes_no_exporter_of_its_own" {
  command = plan

  variables {
    agent_settings = { metrics = { listen = "" }, ec2 = { enabled = "false" }, identity = { required = "true" } }
  }

  assert {
    condition     = strcontains(output.agent_toml, "listen = \"\"")
    error_message = output.agent_toml
  }
}

run "refuses_published_ports_on_the_host_s_network" {
  command = plan

  variables {
    collator_ports = ["33333:33333/tcp"]
    agent_settings = { collator = { network = "host" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_a_timeout_longer_than_the_interval" {
  command = plan

  variables {
    agent_settings = { health = { scrape_timeout = "5001ms" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_a_stall_within_two_scrapes" {
  command = plan

  variables {
    agent_settings = { health = { stall_after = "9s" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_isolation_within_two_scrapes" {
  command = plan

  variables {
    agent_settings = { health = { isolated_after = "9999ms" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_an_interval_longer_than_half_of_a_default_window" {
  command = plan

  variables {
    agent_settings = { health = { scrape_interval = "61s" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_a_first_pause_longer_than_the_longest_by_default" {
  command = plan

  variables {
    agent_settings = { restart = { backoff_initial = "5m1s" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_a_longest_pause_shorter_than_the_first_by_default" {
  command = plan

  variables {
    agent_settings = { restart = { backoff_max = "999ms" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_an_identity_volume_without_ec2" {
  command = plan

  variables {
    agent_settings = { ec2 = { enabled = "false" }, identity = { required = "true", volume = "vol-0123456789abcdef0" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_chain_data_on_the_identity_volume" {
  command = plan

  variables {
    agent_settings = { data = { path = "/var/lib/t0rn-identity/chain/" }, identity = { required = "true" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_the_identity_volume_within_chain_data" {
  command = plan

  variables {
    agent_settings = { identity = { required = "true", mount = "/var/lib/t0rn-collator/keys" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_state_where_chain_data_lie_by_default" {
  command = plan

  variables {
    agent_settings = { agent = { state_dir = "/var/lib/t0rn-collator/" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_chain_data_in_a_directory_of_the_system" {
  command = plan

  variables {
    agent_settings = { data = { path = "/usr/chain" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_chain_data_in_a_shared_directory" {
  command = plan

  variables {
    agent_settings = { data = { path = "/var/lib/" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_the_engine_s_socket_as_its_own" {
  command = plan

  variables {
    agent_settings = { agent = { socket = "/var/run/docker.sock" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_a_port_where_the_agent_listens_by_default" {
  command = plan

  variables {
    collator_ports = ["9733:9000"]
  }

  expect_failures = [output.cloud_config]
}

run "refuses_to_listen_where_a_port_is_published_by_default" {
  command = plan

  variables {
    agent_settings = { metrics = { listen = "[::]:7001" } }
  }

  expect_failures = [output.cloud_config]
}

run "refuses_a_port_that_is_published_twice" {
  command = plan

  variables {
    collator_ports = ["127.0.0.1:7001:7001", "0.0.0.0:7001:7002/tcp"]
  }

  expect_failures = [output.cloud_config]
}

run "refuses_two_mounts_at_one_target" {
  command = plan

  variables {
    collator_mounts = [{ source = "/a", target = "/node/keystore" }, { source = "/b", target = "/node/keystore/" }]
  }

  expect_failures = [output.cloud_config]
}

run "refuses_a_mount_where_chain_data_are_by_default" {
  command = plan

  variables {
    collator_mounts = [{ source = "/a", target = "/node/data" }]
  }

  expect_failures = [output.cloud_config]
}

run "refuses_one_exporter_for_both_chains" {
  command = plan

  variables {
    chains = { parachain = { metrics = "http://127.0.0.1:7001/metrics" }, relaychain = { metrics = "http://127.0.0.1:7001/metrics" } }
  }

  expect_failures = [output.cloud_config]
}
