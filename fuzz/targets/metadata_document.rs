#![no_main]

t0rn_agent_fuzz::target!(agent_aws::fuzzing::metadata_document);
