module t0rn-agent/tests/infrastructure/atmos

go 1.26

require github.com/cloudposse/atmos v1.175.0

replace inet.af/netaddr => github.com/inetaf/netaddr v0.0.0-20230525184311-b8eac61e914a
