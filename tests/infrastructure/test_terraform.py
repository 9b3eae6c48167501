"""The Terraform modules hold together: formatted, their own tests green, every argument, variable and output there.

`terraform validate` would need the Google provider from its registry. In its place stands `google_provider.json`: the
arguments of each resource, as the documentation of provider 7.45.0 lists them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.hcl import Block, read_directory
from support.terraform import MODULES, ROOT, Terraform

PROVIDER = json.loads((Path(__file__).parent / "google_provider.json").read_text(encoding="utf-8"))
DIRECTORIES = sorted(path for path in [*MODULES.iterdir(), *(ROOT / "examples").iterdir()] if path.is_dir())
READ = {path: read_directory(path) for path in DIRECTORIES}
OF_TERRAFORM = {"count", "for_each", "depends_on", "provider"}
each_directory = pytest.mark.parametrize("directory", DIRECTORIES, ids=lambda path: path.name)
WITHOUT_PROVIDER = [path.name for path in DIRECTORIES if (path / "tests").is_dir()]


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return Terraform(tmp_path_factory.mktemp("terraform"))


def test_every_file_is_formatted(terraform: Terraform) -> None:
    done = terraform.run(ROOT, "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", WITHOUT_PROVIDER)
def test_the_tests_of_the_module_pass(terraform: Terraform, module: str) -> None:
    done = terraform.run(terraform.initialised(module), "test", "-no-color")
    assert done.returncode == 0, done.stdout
    passed, failed = re.findall(r"(\d+) passed, (\d+) failed", done.stdout)[-1]
    runs = sum(text.count("\nrun ") for text in map(Path.read_text, (MODULES / module / "tests").iterdir()))
    assert (int(passed), int(failed)) == (runs, 0)


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
PROJECT = {"project_id": "acme-bess"}
TAKEN: Mapping[str, Mapping[str, Any]] = {
    "services": PROJECT,
    "ingest": PROJECT,
    "encryption": PROJECT,
    "artifacts": PROJECT,
    "names": PROJECT | {"site": "calama-1"},
    "identity": PROJECT | {"authorities": [CERTIFICATE], "sites": ["calama-1"]},
    "github": PROJECT | {"repository_id": "123", "region": "southamerica-west1", "repositories": {}},
    "budget": PROJECT | {"billing_account": "01AB23-01AB23-01AB23", "amount": 100},
    "alerts": PROJECT
    | {
        "sites": {"a1": {"topic": "t"}},
        "dead_letter_subscription": "d",
        "emails": {"a": "guardia@example.cl"},
    },
    "site": PROJECT
    | {
        "site": "a1",
        "table": "p.d.t",
        "dead_letter_topic": "projects/p/topics/t",
        "pubsub_agent": "serviceAccount:s",
    },
    "fleet": PROJECT | {"sites": {"a1": {}, "b2": {"site_id": "B"}}, "emails": {}},
    "one-site": PROJECT | {"site": "a1", "email": "guardia@example.cl"},
}
REFUSED: Sequence[tuple[str, Mapping[str, Any], str]] = [
    ("names", {"site": "Calama 1"}, 'site "Calama 1" cannot be used: give 2 to 20 lowercase letters'),
    ("services", {"services": ["pubsub"]}, "names like pubsub.googleapis.com"),
    ("ingest", {"region": "US"}, "no single region"),
    ("ingest", {"table_days": 0}, "null to keep messages for ever"),
    ("ingest", {"dead_letter_days": 32}, "at most 31 days"),
    ("ingest", {"readers": ["allUsers"]}, "allUsers and allAuthenticatedUsers are refused"),
    ("ingest", {"topic_schema": {"type": "JSON", "definition": "{}"}}, "Pub/Sub knows no JSON Schema"),
    ("ingest", {"kms_key_name": "data"}, "full name of a key"),
    (
        "identity",
        {"authorities": [CERTIFICATE.replace("CERTIFICATE", "PRIVATE KEY")]},
        "never its key",
    ),
    ("identity", {"authorities": []}, "one to three certificates"),
    ("identity", {"sites": ["a' || 'b"]}, "short name of a site"),
    ("github", {"repository_id": "OWNER/NAME"}, "not its name"),
    ("github", {"environment": "x' || true"}, "letters, digits"),
    ("artifacts", {"readers": {"all": "allUsers"}}, "allUsers and allAuthenticatedUsers are refused"),
    ("budget", {"billing_account": "acme"}, "six hexadecimal digits"),
    ("budget", {"amount": 0.5}, "whole number"),
    ("alerts", {"emails": {}}, "nobody would be called"),
    ("alerts", {"sites": {"a1": {"topic": "t", "silence_minutes": 2}}}, "from 5 to 1410"),
    ("site", {"delivery_attempts": 4}, "from 5 to 100"),
    ("site", {"secrets": ["Password=1"]}, "the name, never the value"),
    (
        "fleet",
        {"sites": {"a1": {"site_id": "b2"}, "b2": {}}},
        "the records of both would be taken for those of one",
    ),
]


@each_directory
def test_variables_that_are_right_are_taken(terraform: Terraform, directory: Path) -> None:
    if directory.name != "environment":  # its own tests do that
        assert terraform.judge(directory, TAKEN[directory.name]) == ""


@pytest.mark.parametrize(("name", "wrong", "sentence"), REFUSED)
def test_a_variable_that_is_wrong_is_explained(
    terraform: Terraform, name: str, wrong: Mapping[str, Any], sentence: str
) -> None:
    (directory,) = (path for path in DIRECTORIES if path.name == name)
    assert sentence in terraform.judge(directory, {**TAKEN[name], **wrong})


@each_directory
def test_every_argument_of_every_resource_is_one_of_the_provider(directory: Path) -> None:
    for kind, known in (("resource", PROVIDER["resources"]), ("data", PROVIDER["data"])):
        for block in READ[directory].all(kind):
            assert block.labels[0] in known, block.labels
            _check(block, known[block.labels[0]], ".".join(block.labels))


def _check(block: Block, known: Mapping[str, Any], place: str) -> None:
    used = set(block.arguments) - OF_TERRAFORM
    for inner in block.blocks:
        if inner.kind == "lifecycle":
            continue
        dynamic = inner.kind == "dynamic"
        name = inner.labels[0] if dynamic else inner.kind
        assert "block" in known.get(name, {}), f"{place} has no block {name}"
        _check(next(inner.all("content")) if dynamic else inner, known[name]["block"], f"{place}.{name}")
        used.add(name)
    assert used <= set(known), f"{place} has no {used - set(known)}"
    required = {name for name, about in known.items() if about.get("required")}
    assert required <= used, f"{place} lacks {required - used}"


@each_directory
def test_every_name_that_is_referred_to_is_declared(directory: Path) -> None:
    root = READ[directory]
    text = "\n".join(
        re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for path in directory.glob("*.tf")
    )
    variables = {block.labels[0]: block for block in root.all("variable")}
    assert set(re.findall(r"\bvar\.(\w+)", text)) == set(variables)
    declared = {name for block in root.all("locals") for name in block.arguments}
    assert set(re.findall(r"\blocal\.(\w+)", text)) == declared
    resources = {tuple(block.labels) for block in root.all("resource")}
    assert (
        set(re.findall(r"(?<![\w.\"])(google_\w+)\.(\w+)", re.sub(r"\bdata\.[\w.]+", "", text))) <= resources
    )
    assert set(re.findall(r"\bdata\.(google_\w+)\.(\w+)", text)) == {
        tuple(block.labels) for block in root.all("data")
    }
    for block in root.all("module"):
        called = READ[(directory / block.arguments["source"].strip('"')).resolve()]
        takes = {inner.labels[0]: inner for inner in called.all("variable")}
        given = set(block.arguments) - OF_TERRAFORM - {"source"}
        assert given <= set(takes), f"module {block.labels[0]} does not take {given - set(takes)}"
        must = {name for name, about in takes.items() if "default" not in about.arguments}
        assert must <= given, f"module {block.labels[0]} is not given {must - given}"
        outputs = {inner.labels[0] for inner in called.all("output")}
        used = re.findall(rf"\bmodule\.{block.labels[0]}(?:\[[^\]]*\])?\.(\w+)", text)
        assert set(used) <= outputs, f"module {block.labels[0]} has no output {set(used) - outputs}"


@each_directory
def test_variables_and_outputs_are_explained_and_versions_held(directory: Path) -> None:
    root = READ[directory]
    for block in [*root.all("variable"), *root.all("output")]:
        assert len(block.arguments.get("description", "")) > 10, block.labels
    for block in root.all("variable"):
        assert "type" in block.arguments, block.labels
        for rule in block.all("validation"):
            assert {"condition", "error_message"} <= set(rule.arguments), block.labels
    (terraform,) = root.all("terraform")
    assert terraform.arguments["required_version"] == '">= 1.9, < 2.0"'
    providers = [block.arguments["google"] for block in terraform.all("required_providers")]
    if [*root.all("resource"), *root.all("data")] or directory.parent.name == "examples":
        assert len(providers) == 1
        assert f'"~> {PROVIDER["version"].rpartition(".")[0]}"' in providers[0]
    else:
        assert providers == []


def _resources(module: str, kind: str) -> Sequence[Block]:
    return list(READ[MODULES / module].all("resource", kind))


def test_a_gateway_may_publish_to_its_own_topic_and_read_its_own_secrets_and_nothing_else() -> None:
    granted = {
        block.labels[0]: block.arguments["role"]
        for block in READ[MODULES / "site"].all("resource")
        if block.arguments.get("member") == "google_service_account.this.member"
    }
    assert granted == {
        "google_pubsub_topic_iam_member": '"roles/pubsub.publisher"',
        "google_secret_manager_secret_iam_member": '"roles/secretmanager.secretAccessor"',
    }


def test_nowhere_is_a_role_of_the_whole_project_nor_a_key_nor_the_value_of_a_secret() -> None:
    kinds = {block.labels[0] for root in READ.values() for block in root.all("resource")}
    assert not {kind for kind in kinds if kind.startswith("google_project_iam")}
    assert not kinds & {"google_service_account_key", "google_secret_manager_secret_version"}
    text = "".join(path.read_text(encoding="utf-8") for path in ROOT.rglob("*.tf"))
    assert not re.search(r'"allUsers"|"allAuthenticatedUsers"|roles/(owner|editor|viewer)"', text)


def test_only_one_environment_of_one_repository_may_push() -> None:
    (provider,) = _resources("github", "google_iam_workload_identity_pool_provider")
    assert provider.arguments["attribute_condition"] == (
        "\"assertion.repository_id == '${var.repository_id}' && assertion.environment == '${var.environment}'\""
    )


def test_every_check_that_is_skipped_has_its_reason() -> None:
    skips = [line for path in ROOT.rglob("*.tf") for line in re.findall(r"#\s*checkov:.*", path.read_text())]
    assert skips
    for line in skips:
        assert re.fullmatch(r"# checkov:skip=CKV2?_GCP_\d+:.{15,}", line), line


def test_the_alerts_watch_what_the_site_makes(terraform: Terraform) -> None:
    names = terraform.outputs("names", {"project_id": "acme-bess", "prefix": "acme", "site": "calama-1"})
    watched = (MODULES / "alerts" / "main.tf").read_text(encoding="utf-8")
    (pattern,) = re.findall(r'full_match\(\\"(.*?)\\"\)', watched)
    pattern = pattern.replace("${var.prefix}", "acme")
    assert re.fullmatch(pattern, names["bigquery_subscription"])
    assert not re.fullmatch(pattern, names["live_subscription"])
    site = (MODULES / "site" / "main.tf").read_text(encoding="utf-8")
    for output in (
        "topic",
        "bigquery_subscription",
        "live_subscription",
        "account_id",
        "retention",
        "labels",
    ):
        assert f"module.names.{output}" in site
