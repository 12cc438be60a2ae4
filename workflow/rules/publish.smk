# What a person reads at the end of a run.
rule report:
    input:
        catalogue=[PRODUCTS.catalogue(kind, "vot") for kind in CATALOGUE_KINDS],
        masks=run_masks,
        mosaics=ancient(GRAPH.mosaic_list),
    output:
        page=report(
            PRODUCTS.report(),
            caption="../report/report.rst",
            category="Survey",
        ),
    log:
        PRODUCTS.log("report"),
    benchmark:
        PRODUCTS.benchmark("report")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    params:
        root=run_root,
        config=as_json(CONFIG),
        mosaics=lambda wildcards: GRAPH.selected,
        code=code_hash("report"),
    shell:
        "$PYTHON $SCRIPTS/report.py --root {params.root:q} --config {params.config:q} --list {input.mosaics:q}"
        " --mosaics {params.mosaics} --out {output.page:q} --log {log:q}"
