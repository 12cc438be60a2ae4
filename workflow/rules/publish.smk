# Report, publication, and comparison with reference masks.
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
        runtime=doubling(30),
    params:
        settings=RULES.settings(),
        code=FRESHNESS.code("report"),
    shell:
        "stage report --settings {params.settings:q} --out {output.page:q} --log {log:q}"


rule publish_mosaic:
    input:
        image=PRODUCTS.image("{mosaic}"),
        probability=PRODUCTS.probability("{mosaic}"),
        mask=PRODUCTS.mask("{mosaic}"),
        islands=PRODUCTS.islands("{mosaic}"),
        clusters=PRODUCTS.clusters("{mosaic}"),
        cutouts=PRODUCTS.cutouts("{mosaic}"),
    output:
        record=RULES.publication_record("mosaic", "{mosaic}"),
    log:
        PRODUCTS.log("publish_mosaic", "{mosaic}"),
    benchmark:
        PRODUCTS.benchmark("publish_mosaic", "{mosaic}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    params:
        cells=lambda wildcards: GRAPH.cells(wildcards.mosaic),
        settings=RULES.settings(),
        code=FRESHNESS.code("publish_mosaic"),
    shell:
        "stage publish_mosaic --settings {params.settings:q} --mosaic {wildcards.mosaic:q}"
        " --record {output.record:q} --log {log:q}"


rule publish_catalogues:
    input:
        catalogues=PRODUCTS.catalogues().values(),
        mosaics=RULES.published_mosaics,
    output:
        record=RULES.publication_record("catalogues"),
    log:
        PRODUCTS.log("publish_catalogues"),
    benchmark:
        PRODUCTS.benchmark("publish_catalogues")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(60),
    params:
        settings=RULES.settings(),
        code=FRESHNESS.code("publish_catalogues"),
    shell:
        "stage publish_catalogues --settings {params.settings:q}"
        " --record {output.record:q} --log {log:q}"


rule publish_survey:
    input:
        catalogue=PRODUCTS.catalogue("clusters", "vot"),
        mosaics=RULES.published_mosaics,
    output:
        record=RULES.publication_record("survey"),
    log:
        PRODUCTS.log("publish_survey"),
    benchmark:
        PRODUCTS.benchmark("publish_survey")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(60),
    params:
        settings=RULES.settings(),
        code=FRESHNESS.code("publish_survey"),
    shell:
        "stage publish_survey --settings {params.settings:q}"
        " --record {output.record:q} --log {log:q}"


rule publish_tiles:
    input:
        unpack(RULES.mosaics_of_tiles),
        survey=RULES.publication_record("survey"),
    output:
        record=RULES.publication_record("tiles", "{part}"),
    log:
        PRODUCTS.log("publish_tiles", "{part}"),
    benchmark:
        PRODUCTS.benchmark("publish_tiles", "{part}")
    wildcard_constraints:
        part=r"\d{3}",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(60),
    params:
        settings=RULES.settings(),
        code=FRESHNESS.code("publish_tiles"),
    shell:
        "stage publish_tiles --settings {params.settings:q} --part {wildcards.part:q}"
        " --record {output.record:q} --log {log:q}"


rule publish:
    input:
        unpack(RULES.before_publishing),
    output:
        record=RULES.publication_record("summary"),
    log:
        PRODUCTS.log("publish"),
    benchmark:
        PRODUCTS.benchmark("publish")
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        mem_mb=doubling(8000),
        runtime=doubling(RULES.publication_minutes),
    params:
        settings=RULES.settings(),
        aladin=lambda wildcards: FRESHNESS.fingerprints.of_all(
            filter(None, [CONFIG.publish.aladin])
        ),
        code=FRESHNESS.code("publish"),
    shell:
        "stage publish --settings {params.settings:q} --threads {threads}"
        " --record {output.record:q} --log {log:q}"


if CONFIG.verify.masks or CONFIG.verify.probabilities:

    rule verify_mosaic:
        input:
            mask=PRODUCTS.mask("{mosaic}"),
            probability=PRODUCTS.probability("{mosaic}"),
            clusters=PRODUCTS.clusters("{mosaic}"),
            islands=PRODUCTS.islands("{mosaic}"),
        output:
            comparison=PRODUCTS.verification("{mosaic}"),
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
            ' --settings "$DOWNLOAD" --out {output.comparison:q} --on-reject $ON_REJECT --log {log:q}'

    rule verify:
        input:
            comparisons=RULES.verifications,
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
            settings=RULES.settings(*CONFIG.keys_of_tables),
            code=FRESHNESS.code("verify"),
        shell:
            "stage verify --settings {params.settings:q} --out {output.verdict:q} --log {log:q}"
