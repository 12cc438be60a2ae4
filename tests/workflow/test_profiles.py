"""Profiles: what each rule asks a site for, by dry runs, and where settings come from."""

import os
import re
from types import SimpleNamespace

import pytest
import yte
from snakemake_executor_plugin_slurm.utils import set_gres_string

from programs import snakemake

from .conftest import ROOT
from .test_dag import write_lists

PROFILES = ROOT / "workflow" / "profiles"
NETWORK = {"fetch_mosaic"}
GPU = {"segment"}
CPU = {"find_islands", "measure_clusters", "merge_catalogue", "report"}
SETTINGS = ("SBATCH_", "RADIOUNET_")


def read(name):
    with open(PROFILES / name / "config.yaml") as stream:
        return yte.process_yaml(stream, require_use_yte=True)


@pytest.fixture
def asked(run):
    """Resources that every rule of a dry run asks for, by rule."""
    write_lists(run)
    lists = {"list_folder": str(run.folder / "resources/footprints")}
    settings = {"results": str(run.folder / "results"), "archive": lists}

    def ask(*options, **environment):
        run.write_config(**settings, **environment.pop("config", {}))
        clean = {key: value for key, value in os.environ.items() if not key.startswith(SETTINGS)}
        words = ("--profile", "slurm", *options, "-n", "--configfile", str(run.config))
        text = snakemake(*words, env=clean | environment)
        found = {}
        for job in re.split(r"^ *(?:local)?rule ", text, flags=re.MULTILINE)[1:]:
            resources = re.search(r"resources: (.*)", job)
            if resources:
                found[job.split(":")[0]] = dict(one.split("=", 1) for one in resources[1].split(", "))
        found.pop("all")  # runs nothing
        return found

    return ask


def partitions(asked):
    return {rule: one.get("slurm_partition") for rule, one in asked.items()}


def test_any_site_without_settings(asked):
    found = asked()
    assert set(found) == NETWORK | GPU | CPU
    assert set(partitions(found).values()) == {None}
    assert {rule: one["gpu"] for rule, one in found.items() if "gpu" in one} == dict.fromkeys(GPU, "1")


def test_the_environment_sets_the_site(asked):
    found = asked(
        SBATCH_ACCOUNT="ME_0",
        SBATCH_PARTITION="cpu",
        SBATCH_QOS="long",
        RADIOUNET_GPU_PARTITION="gpu",
        RADIOUNET_NETWORK_PARTITION="net",
    )
    assert partitions(found) == dict.fromkeys(CPU, "cpu") | {"segment": "gpu", "fetch_mosaic": "net"}
    assert {one["slurm_account"] for one in found.values()} == {"ME_0"}
    assert {one["qos"] for one in found.values()} == {"long"}
    assert asked(RADIOUNET_GPUS="0")["segment"]["gpu"] == "0"


def test_leonardo_has_a_partition_for_each_kind_of_work(asked):
    found = asked(
        "--workflow-profile", "leonardo", SBATCH_ACCOUNT="DCGP_0", RADIOUNET_GPU_ACCOUNT="BOOST_0",
        RADIOUNET_TMPFS="10g", SBATCH_QOS="dcgp_qos_dbg",
    )  # fmt: skip
    assert partitions(found) == (
        dict.fromkeys(CPU, "dcgp_usr_prod")
        | dict.fromkeys(GPU, "boost_usr_prod")
        | dict.fromkeys(NETWORK, "lrd_all_serial")
    )
    segment = found["segment"]
    assert (segment["gpu"], segment["mem_mb"], segment["slurm_account"]) == ("1", "120000", "BOOST_0")
    given = SimpleNamespace(resources=SimpleNamespace(**segment, get=segment.get))
    assert "--gres=tmpfs:10g --gpus=1" in set_gres_string(given)
    assert (segment["qos"], found["find_islands"]["qos"], found["fetch_mosaic"]["qos"]) == (
        "normal", "dcgp_qos_dbg", "normal",
    )  # fmt: skip
    assert found["find_islands"]["slurm_account"] == "DCGP_0"
    assert int(found["fetch_mosaic"]["runtime"]) <= 240 / 4  # two doublings, within the 4 h of that partition


@pytest.mark.parametrize(
    ("selected", "per_job", "minutes"),
    [
        (["P124+62"], 24, 15),
        (["P124+62", "P126+65"], 24, 8),
        (["P124+62", "P126+65", "P124+67", "P119+60"], 24, 5),
        (["P124+62", "P126+65", "P124+67"], 2, 30),
        (["P124+62"], 1, 60),
    ],
)
def test_a_job_that_segments_has_at_least_a_quarter_of_an_hour(asked, selected, per_job, minutes):
    """However few of its mosaics are selected; the job has the sum of what its mosaics ask for."""
    config = {"select": {"mosaics": selected}, "segmentation": {"mosaics_per_job": per_job}}
    assert int(asked(config=config)["segment"]["runtime"]) == minutes


@pytest.mark.parametrize(
    ("options", "environment", "downloads", "named"),
    [
        ([], {}, 4, "Jobs of Slurm beside downloads: "),
        (["--workflow-profile", "leonardo"], {}, 8, "Jobs of Slurm: "),
        (["--resources", "connections=2"], {"RADIOUNET_NETWORK_PARTITION": "net"}, 2, "Jobs of Slurm: "),
    ],
)
def test_the_plan_counts_downloads_as_the_profile_has_them(run, options, environment, downloads, named):
    write_lists(run)
    lists = {"list_folder": str(run.folder / "resources/footprints")}
    run.write_config(results=str(run.folder / "results"), archive=lists)
    clean = {key: value for key, value in os.environ.items() if not key.startswith(SETTINGS)}
    quick = ("--slurm-init-seconds-before-status-checks", "1")
    words = ("--profile", "slurm", *quick, *options, "--configfile", str(run.config), "--", "plan")
    text = snakemake(*words, env=clean | environment)
    assert f"| Slurm, 200 jobs and {downloads} downloads at once" in text
    assert named in text


def test_leonardo_lacks_nothing_of_the_slurm_profile():
    # laid over it, a profile replaces whole blocks: each must name all that the block had
    slurm, leonardo = read("slurm"), read("leonardo")
    for block in ("default-resources", "set-resources", "set-threads"):
        assert set(slurm[block]) <= set(leonardo[block]), block


def test_profiles_agree_where_both_say_something():
    # without --workflow-profile the default one lies over slurm
    import yaml

    default, slurm = yaml.safe_load((PROFILES / "default/config.yaml").read_text()), read("slurm")
    for key in set(default) & set(slurm):
        assert default[key] == slurm[key], key


def test_every_key_of_a_profile_says_why():
    for path in PROFILES.glob("*/config.yaml"):
        for line in path.read_text().splitlines():
            if re.match(r"^[a-z-]+: \S", line) and "executor:" not in line:
                assert "#" in line or "printshellcmds" in line, (path.name, line)
