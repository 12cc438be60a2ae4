# The configuration and the lists of the survey, loaded once; names used by all rules.
import re
import sys

from radiounet.settings.config import load_config
from radiounet.errors import BadDataError
from radiounet.running.freshness import Freshness, as_inputs, settings_of_run
from radiounet.running.job_graph import CLUSTER_FOLDER, JobGraph, summary
from radiounet.running.locks import hold, is_held, let_go
from radiounet.settings.command_line import options_to, shell_word
from radiounet.running.progress import settle_status
from radiounet.running.scratch import link_scratch
from radiounet.survey.survey import list_paths
from radiounet.images.words import TEMPLATES
from radiounet.settings.yaml_file import require_single_keys
from radiounet.images.products import CATALOGUE_KINDS, CATALOGUE_SUFFIXES, NAME_PATTERN, Products, comparison_files
from radiounet.images.provenance import code_hash, sha256_of
from radiounet.images.writing import remove_leftovers

if workflow.is_main_process:  # not again in every job
    require_single_keys(workflow.configfiles)
CONFIG = load_config(config if workflow.is_main_process else settings_of_run(config))
PRODUCTS = Products(f"{CONFIG.results}/{CONFIG.survey}")
GRAPH = JobGraph(CONFIG, workflow.basedir)
FRESHNESS = Freshness(workflow, PRODUCTS)
if workflow.is_main_process:
    GRAPH.check()
    settle_status(PRODUCTS, is_held(PRODUCTS.root))
CATALOGUES = {
    f"{kind}_{suffix}": PRODUCTS.catalogue(kind, suffix)
    for kind in CATALOGUE_KINDS
    for suffix in CATALOGUE_SUFFIXES
}
PROGRESS = None
LISTS = list_paths(CONFIG.archive.list_folder, CONFIG.release)

ENVIRONMENT = f"{workflow.basedir}/envs/cpu.yaml"
NETWORK_ENVIRONMENT = f"{workflow.basedir}/envs/{CONFIG.environment}.yaml"


# For the shell only, outside the rules' params: nothing of this changes a product.
PYTHON = "python" if workflow.deployment_settings.deployment_method else sys.executable
shell.prefix(
    f'stage() {{{{ {shell_word(PYTHON)} {shell_word(f"{workflow.basedir}/scripts")}/"$1.py" "${{{{@:2}}}}"; }}}};'
    f" ON_REJECT={CONFIG.on_reject}; DOWNLOAD={shell_word(CONFIG.archive.download.model_dump_json())};"
    " export TF_CPP_MIN_LOG_LEVEL=${{TF_CPP_MIN_LOG_LEVEL:-2}}; "
)


wildcard_constraints:
    mosaic=NAME_PATTERN,
    field=NAME_PATTERN,
    catalogue="|".join(map(re.escape, CONFIG.archive.clusters)),


def fixed(value):
    """A param as a function, since Snakemake takes braces in text for wildcards."""
    return lambda wildcards: value


def image_of(wildcards):
    """A mosaic's image; on the way, what was replaced of that mosaic is marked to be made again."""
    FRESHNESS.check_mosaic(wildcards.mosaic)
    FRESHNESS.check_model(GRAPH)
    return PRODUCTS.image(wildcards.mosaic)


def fields_of(wildcards):
    """The fields of a mosaic, looked at in the same way."""
    names = GRAPH.fields_of(wildcards.mosaic)
    for name in names:
        FRESHNESS.check_field(name)
    return names


def run_masks(wildcards):
    GRAPH.check_model()
    return [PRODUCTS.mask(mosaic) for mosaic in GRAPH.selected]


def run_products(wildcards):
    """All that stays of each mosaic of the run."""
    return [path for mosaic in GRAPH.selected for path in PRODUCTS.lasting(mosaic)]


def cluster_products(wildcards):
    """The mosaic itself, and those that the apertures of its clusters touch."""
    names = [wildcards.mosaic, *GRAPH.touched_by_clusters_of(wildcards.mosaic)]
    return {
        "images": [PRODUCTS.image(name) for name in names],
        "probabilities": [PRODUCTS.probability(name) for name in names],
        "masks": [PRODUCTS.mask(name) for name in names],
    }


def run_tables(wildcards):
    FRESHNESS.check_survey()
    return {
        "islands": [PRODUCTS.islands(mosaic) for mosaic in GRAPH.selected],
        "clusters": [PRODUCTS.clusters(mosaic) for mosaic in GRAPH.selected],
        "neighbours": [PRODUCTS.mask(mosaic) for mosaic in GRAPH.neighbours],
        "sources": [PRODUCTS.field_source(field) for field in GRAPH.fields_used],
        "left_out": left_out_lists(),
    }


def left_out_lists():
    """Where mosaics are made here: of which fields each was made without."""
    mosaics = [*GRAPH.selected, *GRAPH.neighbours] if GRAPH.fields_used else []
    return [PRODUCTS.left_out(mosaic) for mosaic in mosaics]


def verifications(wildcards):
    FRESHNESS.check_verdict(GRAPH.selected)
    return [PRODUCTS.verification(mosaic) for mosaic in GRAPH.selected]


def rerun_targets(wildcards):
    """What depends on the pointings asked for; Snakemake is told to make these anew even where they are."""
    from radiounet.running.rerun import Rerun

    rerun = Rerun(CONFIG, GRAPH, PRODUCTS)
    workflow.dag.forcefiles.update(rerun.starts())
    return rerun.targets()


def mosaic_of(job):
    return job.wildcards_dict.get("mosaic")


def begin_run():
    """Have the products for this run alone, and clear up after one that was killed."""
    hold(PRODUCTS.root)
    FRESHNESS.fingerprints.keep()
    FRESHNESS.keep_settings(CONFIG)
    if CONFIG.scratch:
        link_scratch(PRODUCTS, CONFIG.scratch)
    lists, training = CONFIG.archive.list_folder, f"{CONFIG.results}/training"
    for folder in (PRODUCTS.root, training, lists, CLUSTER_FOLDER, GRAPH.model_folder):
        for path in remove_leftovers(folder):
            logger.info(f"removed {path}, which a killed job left")


def watch_run():
    """Begin to say how the run stands, where it has to do with mosaics."""
    global PROGRESS
    from radiounet.running.progress import Progress

    dag, asked = workflow.dag, workflow.output_settings
    in_order = [job for level in dag.toposorted() for job in level]
    jobs = {dag.jobid(job): (job.rule.name, mosaic_of(job)) for job in in_order if dag.needrun(job)}
    mosaics = {mosaic_of(job) for job in in_order} - {None}
    before = mosaics - {mosaic for _, mosaic in jobs.values()}
    if mosaics:
        quiet = not (asked.verbose or asked.printshellcmds)
        PROGRESS = Progress(PRODUCTS, jobs, before, quiet).start(logger)


def end_run(state):
    """Say how the run ended; returns its exit status: bad data has one of its own."""
    if PROGRESS is not None:
        PROGRESS.end(state)
    FRESHNESS.forget_settings()
    let_go(PRODUCTS.root)
    if PROGRESS is None or not PROGRESS.finished("merge_catalogue"):
        return 0
    rejected, text = summary(PRODUCTS)
    logger.info(text)
    return BadDataError.exit_status if rejected else 0


def beside_snakemake(rule):
    """Whether downloads run beside Snakemake, since no profile names a partition for them."""
    return "slurm_partition" not in workflow.resource_settings.overwrite_resources.get(rule, {})


def doubling(base):
    """A resource that doubles with every attempt."""
    return lambda wildcards, attempt: base * 2 ** (attempt - 1)


def as_json(section):
    """A section for a script; a function, since Snakemake takes braces in text for wildcards."""
    return lambda wildcards: section.model_dump_json()
