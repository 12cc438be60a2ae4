# Diffuse radio emission in LoTSS with Radio U-Net. See README.md; settings in config/config.yaml.
from snakemake.utils import min_version

min_version("9.21")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/archive.smk"
include: "workflow/rules/mosaic.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/catalogue.smk"
include: "workflow/rules/publish.smk"
include: "workflow/rules/train.smk"


rule all:
    default_target: True
    input:
        masks=run_masks,
        catalogue=CATALOGUES.values(),
        report=PRODUCTS.report(),
    localrule: True


onsuccess:
    logger.info(summary(PRODUCTS))
