# The configuration and the lists of the survey, loaded once, and what the rules ask of them.
import re
import sys

from radiounet.images.model_files import MODEL_CARD, MODEL_WEIGHTS
from radiounet.images.products import CATALOGUE_KINDS, NAME_PATTERN, comparison_files
from radiounet.images.provenance import code_hash
from radiounet.running.freshness import as_inputs
from radiounet.running.job_graph import CLUSTER_FOLDER
from radiounet.running.list_sources import catalogue_source, lists_source
from radiounet.running.plan import options_of_run
from radiounet.running.rules import Rules, doubling, fixed
from radiounet.running.snakemake_adapter import in_one_line_while_parsing
from radiounet.running.stages import options_of_added
from radiounet.running.training_files import TrainingFiles
from radiounet.settings.command_line import settings_to

with in_one_line_while_parsing():
    RULES = Rules(workflow, config)
CONFIG, PRODUCTS, GRAPH, FRESHNESS = RULES.config, RULES.products, RULES.graph, RULES.freshness

ENVIRONMENT = f"{RULES.run.folder}/envs/cpu.yaml"
NETWORK_ENVIRONMENT = f"{RULES.run.folder}/envs/{CONFIG.environment}.yaml"

shell.prefix(RULES.shell_prefix)


wildcard_constraints:
    mosaic=NAME_PATTERN,
    field=NAME_PATTERN,
    catalogue="|".join(map(re.escape, CONFIG.archive.clusters)),
