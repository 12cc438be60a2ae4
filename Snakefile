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
        catalogue=[
            PRODUCTS.catalogue(kind, suffix)
            for kind in CATALOGUE_KINDS
            for suffix in CATALOGUE_SUFFIXES
        ],
        report=PRODUCTS.report(),


onsuccess:
    logger.info(summary(PRODUCTS))


localrules:
    all,
