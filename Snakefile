# Diffuse radio emission in LoTSS with Radio U-Net. See README.md; settings in config/config.yaml.
from snakemake.utils import min_version

min_version("9.27.1")


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
        products=RULES.lasting,
        catalogue=RULES.merged.values(),
        report=PRODUCTS.report(),
    localrule: True


rule rerun:
    # --config pointing=NAME, or only=rejected: those pointings, and exactly what depends on them
    input:
        RULES.rerun_targets,
    localrule: True


rule plan:
    # what a run will take; always says it anew
    log:
        PRODUCTS.log("plan"),
    retries: 0  # a wrong configuration stays wrong
    localrule: True
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=RULES.settings(),
        out=PRODUCTS.plan(),
        at_once=options_of_run(RULES.run, CONFIG),
        added=lambda wildcards: options_of_added(PRODUCTS),
    shell:
        "stage plan --settings {params.settings:q} {params.at_once:q} {params.added:q}"
        " --out {params.out:q} --log {log:q}"


onstart:
    RULES.hooks.begin()


onsuccess:
    if status := RULES.hooks.end("finished"):
        sys.exit(status)


onerror:
    RULES.hooks.end("failed")
