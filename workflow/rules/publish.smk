# What a person reads at the end of a run.
rule report:
    input:
        catalogue=[PRODUCTS.catalogue(kind, "vot") for kind in CATALOGUE_KINDS],
        masks=RULES.masks,
        mosaics=fixed(GRAPH.list_made_here),
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
        settings=RULES.settings(),
        template=sha256_of(TEMPLATES / "report.html.j2"),
        code=FRESHNESS.code("report"),
    shell:
        "stage report --settings {params.settings:q} --out {output.page:q} --log {log:q}"


if CONFIG.verify.masks or CONFIG.verify.probabilities:

    rule verify_mosaic:
        input:
            mask=PRODUCTS.mask("{mosaic}"),
            probability=PRODUCTS.probability("{mosaic}"),
            clusters=PRODUCTS.clusters("{mosaic}"),
            islands=PRODUCTS.islands("{mosaic}"),
        output:
            PRODUCTS.verification("{mosaic}"),
        log:
            PRODUCTS.log("verify_mosaic", "{mosaic}"),
        benchmark:
            PRODUCTS.benchmark("verify_mosaic", "{mosaic}")
        localrule: RULES.runs_beside_snakemake("verify_mosaic")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=doubling(3000),
            runtime=doubling(30),
            connections=1,
        params:
            root=fixed(PRODUCTS.root),
            settings=RULES.settings("verify"),
            references=lambda wildcards: FRESHNESS.fingerprints.of_all(
                GRAPH.reference_files(wildcards.mosaic)
            ),
            code=FRESHNESS.code("verify_mosaic"),
        shell:
            "stage verify_mosaic --root {params.root:q} --mosaic {wildcards.mosaic:q} --settings {params.settings:q}"
            ' --settings "$DOWNLOAD" --out {output:q} --on-reject $ON_REJECT --log {log:q}'

    rule verify:
        input:
            RULES.verifications,
        output:
            verdict=PRODUCTS.verdict(),
            page=PRODUCTS.verdict_page(),
        log:
            PRODUCTS.log("verify"),
        benchmark:
            PRODUCTS.benchmark("verify")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=doubling(1000),
            runtime=doubling(10),
        params:
            settings=RULES.settings(*GRAPH.keys_of_tables),
            code=FRESHNESS.code("verify"),
        shell:
            "stage verify --settings {params.settings:q} --out {output.verdict:q} --log {log:q}"
