#![no_main]

t0rn_agent_fuzz::target!(t0rn_agent::fuzzing::prometheus_answer);
