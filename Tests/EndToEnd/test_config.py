"""Configuration files of server and agent: every mistake is named, with the nearest thing that would be right."""

from __future__ import annotations

import pytest
import yaml

from mintmark import BAD_CONFIG, Server, run
from workload import uris_of

GOOD = {
    "server": {
        "trust_domain": "example.org",
        "data_dir": "/tmp/mm-nowhere",
        "bind_address": "127.0.0.1",
        "bind_port": 0,
        "admin_socket": "/tmp/mm-nowhere/admin.sock",
        "ca_ttl": "24h",
        "x509_svid_ttl": "1h",
        "jwt_svid_ttl": "5m",
        "agent_ttl": "3h",
        "ca_key_type": "ec-p256",
        "jwt_key_type": "rsa-2048",
        "jwt_issuer": "https://issuer.example",
        "default_min_assurance": 3,
        "legacy_agents": "refuse",
        "key_store": {"kind": "disk", "passphrase_file": "/tmp/mm-nowhere/passphrase"},
        "upstream_authority": {
            "kind": "disk",
            "certificate_file": "/tmp/mm-nowhere/ca.pem",
            "key_file": "/tmp/mm-nowhere/ca.key",
            "bundle_file": "/tmp/mm-nowhere/roots.pem",
        },
        "log_level": "debug",
    },
    "agent": {
        "trust_domain": "example.org",
        "data_dir": "/tmp/mm-nowhere",
        "server_address": "127.0.0.1:8081",
        "workload_socket": "/tmp/mm-nowhere/workload.sock",
        "join_token_file": "/tmp/mm-nowhere/token",
        "trust_bundle": "/tmp/mm-nowhere/bundle.pem",
        "log_level": "warning",
    },
}


@pytest.fixture
def validate(home):
    """Validates settings, or a text as it is."""

    def validate(side, settings, **env):
        path = home / f"{side}.yaml"
        path.write_text(settings if isinstance(settings, str) else yaml.safe_dump(settings))
        return run(side, "validate", "--config", path, env=env)

    return validate


@pytest.mark.parametrize("side", GOOD)
def test_a_config_with_every_key_is_valid(validate, side):
    validate(side, GOOD[side]).expect(0)


@pytest.mark.parametrize("side", GOOD)
def test_the_trust_domain_is_all_that_is_required(validate, side):
    validate(side, {"trust_domain": "example.org"}).expect(0)
    validate(side, {"log_level": "info"}).refusal(BAD_CONFIG, saying=["trust_domain"])


@pytest.mark.parametrize(
    "side, key, nearest",
    [
        ("server", "trust_domian", "trust_domain"),
        ("server", "bind_prot", "bind_port"),
        ("server", "x509_ttl", "x509_svid_ttl"),
        ("server", "admin_sock", "admin_socket"),
        ("server", "loglevel", "log_level"),
        ("server", "min_assurance", "default_min_assurance"),
        ("server", "legacy_agent", "legacy_agents"),
        ("agent", "server_adress", "server_address"),
        ("agent", "worklod_socket", "workload_socket"),
        ("agent", "trust_bundel", "trust_bundle"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(validate, side, key, nearest):
    validate(side, GOOD[side] | {key: "x"}).refusal(BAD_CONFIG, saying=[key, "did you mean", nearest])


@pytest.mark.parametrize("side", GOOD)
def test_a_key_that_resembles_nothing_is_named_as_well(validate, side):
    validate(side, GOOD[side] | {"frobnicate": 1}).refusal(BAD_CONFIG, saying=["frobnicate"])


def test_a_key_of_the_other_side_is_unknown(validate):
    validate("agent", GOOD["agent"] | {"bind_port": 1}).refusal(BAD_CONFIG, saying=["bind_port"])


@pytest.mark.parametrize(
    "side, key, value",
    [
        ("server", "trust_domain", "Example.org"),
        ("server", "trust_domain", ["example.org"]),
        ("server", "bind_port", "abc"),
        ("server", "bind_port", 70000),
        ("server", "bind_port", -1),
        ("server", "bind_address", "not an address"),
        ("server", "ca_ttl", "banana"),
        ("server", "x509_svid_ttl", "-5m"),
        ("server", "agent_ttl", {"hours": 1}),
        ("server", "ca_key_type", "dsa"),
        ("server", "jwt_key_type", "ed25519"),
        ("server", "default_min_assurance", 0),
        ("server", "default_min_assurance", 4),
        ("server", "default_min_assurance", "high"),
        ("server", "legacy_agents", "maybe"),
        ("server", "log_level", "loud"),
        ("agent", "trust_domain", "exa mple.org"),
        ("agent", "server_address", "127.0.0.1"),
        ("agent", "server_address", "127.0.0.1:99999"),
        ("agent", "log_level", 7),
    ],
)
def test_a_value_that_is_wrong_is_named_with_its_key(validate, side, key, value):
    validate(side, GOOD[side] | {key: value}).refusal(BAD_CONFIG, saying=[key])


@pytest.mark.parametrize(
    "text", ["{{{", "- a\n- b\n", "just text", "trust_domain: [", ""], ids=["braces", "list", "text", "open", "empty"]
)
@pytest.mark.parametrize("side", GOOD)
def test_a_file_that_is_no_mapping_is_an_error(validate, side, text):
    validate(side, text).refusal(BAD_CONFIG)


@pytest.mark.parametrize("side", GOOD)
@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_file_that_is_not_there_is_an_error(home, side, command):
    run(side, command, "--config", home / "missing.yaml").refusal(BAD_CONFIG, saying=["missing.yaml"])


@pytest.mark.parametrize("side", GOOD)
def test_run_refuses_what_validate_refuses_and_leaves_nothing_behind(home, side):
    config = home / "bad.yaml"
    config.write_text(yaml.safe_dump({"trust_domain": "example.org", "data_dir": str(home / "d"), "frobnicate": 1}))
    run(side, "run", "--config", config).refusal(BAD_CONFIG, saying=["frobnicate"])
    assert not (home / "d").exists()


@pytest.mark.parametrize("side", GOOD)
def test_validate_starts_nothing(validate, home, side):
    settings = GOOD[side] | {"data_dir": str(home / "d")}
    validate(side, settings).expect(0)
    assert not (home / "d").exists()


# --- The environment ------------------------------------------------------------------------------


def test_the_environment_overrides_the_file(validate):
    good = {"trust_domain": "example.org"}
    validate("server", {"log_level": "info"}, MINTMARK_SERVER_TRUST_DOMAIN="example.org").expect(0)
    validate("agent", {"log_level": "info"}, MINTMARK_AGENT_TRUST_DOMAIN="example.org").expect(0)
    validate("server", good | {"bind_port": 70000}, MINTMARK_SERVER_BIND_PORT="8081").expect(0)
    validate("server", good, MINTMARK_SERVER_BIND_PORT="abc").refusal(BAD_CONFIG, saying=["BIND_PORT"])
    validate("server", good, MINTMARK_SERVER_CA_TTL="banana").refusal(BAD_CONFIG, saying=["CA_TTL"])
    validate("agent", good, MINTMARK_AGENT_SERVER_ADDRESS="nowhere").refusal(BAD_CONFIG, saying=["SERVER_ADDRESS"])
    validate("agent", good, MINTMARK_SERVER_BIND_PORT="abc").expect(0)


def test_the_environment_reaches_a_running_server(roles):
    server = roles.keep(Server(roles.home))
    server.start(env={"MINTMARK_SERVER_TRUST_DOMAIN": "other.org"})
    [authority] = server.authorities()[0]
    assert uris_of(authority) == ["spiffe://other.org"]
