# From masks to catalogues.
rule find_islands:
    input:
        image=PRODUCTS.image("{mosaic}"),
        probability=PRODUCTS.probability("{mosaic}"),
        mask=PRODUCTS.mask("{mosaic}"),
        compact=RULES.compact,
    output:
        table=PRODUCTS.islands("{mosaic}"),
    log:
        PRODUCTS.log("find_islands", "{mosaic}"),
    benchmark:
        PRODUCTS.benchmark("find_islands", "{mosaic}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(3000),
        runtime=doubling(20),
    params:
        list=fixed(GRAPH.list_options),
        cells=lambda wildcards: GRAPH.cells(wildcards.mosaic),
        compact=RULES.compact_options,
        components=lambda wildcards: FRESHNESS.fingerprints.of_all(
            CONFIG.own_components(PRODUCTS, wildcards.mosaic)
        ),
        settings=RULES.settings_of_mosaic(
            "measure.calibration_error", "measure.galactic_latitude_deg", "measure.components"
        ),
        code=FRESHNESS.code("find_islands"),
    shell:
        "stage find_islands --mosaic {wildcards.mosaic:q} --image {input.image:q}"
        " --probability {input.probability:q} --mask {input.mask:q} {params.list:q}"
        " {params.compact:q} --out {output.table:q} --settings {params.settings:q}"
        " --on-reject $ON_REJECT --log {log:q}"


rule measure_clusters:
    input:
        unpack(RULES.around_clusters),
        model=RULES.model,
        compact=RULES.compact,
    output:
        table=PRODUCTS.clusters("{mosaic}"),
        cutouts=PRODUCTS.cutouts("{mosaic}"),
    log:
        PRODUCTS.log("measure_clusters", "{mosaic}"),
    benchmark:
        PRODUCTS.benchmark("measure_clusters", "{mosaic}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(3000),
        runtime=doubling(20),
    params:
        root=fixed(PRODUCTS.root),
        list=fixed(GRAPH.list_options),
        cells=lambda wildcards: GRAPH.cells(
            wildcards.mosaic, *GRAPH.touched_by_clusters_of(wildcards.mosaic)
        ),
        touched=lambda wildcards: GRAPH.touched_by_clusters_of(wildcards.mosaic),
        clusters=fixed(GRAPH.cluster_options),
        # the table is no input: a newer one redoes what is near the rows that changed
        rows=lambda wildcards: GRAPH.rows_near(wildcards.mosaic),
        card=lambda wildcards: GRAPH.model_state,
        compact=RULES.compact_options,
        components=lambda wildcards: FRESHNESS.fingerprints.of_all(
            CONFIG.own_components(PRODUCTS, wildcards.mosaic)
        ),
        settings=RULES.settings_of_mosaic("measure", "segmentation.model"),
        code=FRESHNESS.code("measure_clusters"),
    shell:
        "stage measure_clusters --root {params.root:q} --mosaic {wildcards.mosaic:q}"
        " --touched {params.touched:q} {params.clusters:q} {params.list:q}"
        " {params.compact:q}"
        " --settings {params.settings:q} --on-reject $ON_REJECT --log {log:q}"


if CONFIG.limits.enabled:

    rule measure_limits:
        input:
            image=PRODUCTS.image("{mosaic}"),
            probability=PRODUCTS.probability("{mosaic}"),
            mask=PRODUCTS.mask("{mosaic}"),
            model=RULES.model,
        output:
            table=PRODUCTS.limits("{mosaic}"),
        log:
            PRODUCTS.log("measure_limits", "{mosaic}"),
        benchmark:
            PRODUCTS.benchmark("measure_limits", "{mosaic}")
        conda:
            NETWORK_ENVIRONMENT
        threads: 2
        resources:
            mem_mb=doubling(4000),
            runtime=doubling(60),
        params:
            root=fixed(PRODUCTS.root),
            list=fixed(GRAPH.list_options),
            cells=lambda wildcards: GRAPH.cells(wildcards.mosaic),
            clusters=fixed(GRAPH.cluster_options),
            rows=lambda wildcards: GRAPH.rows_near(wildcards.mosaic, owned=True),
            card=lambda wildcards: GRAPH.model_state,
            settings=RULES.settings_of_mosaic(
                *("limits", "measure.h0", "measure.omega_m", "measure.unit"),
                *("segmentation.model", "segmentation.batch", "segmentation.precision"),
            ),
            code=FRESHNESS.code("measure_limits"),
        shell:
            "stage measure_limits --root {params.root:q} --mosaic {wildcards.mosaic:q} {params.clusters:q}"
            " {params.list:q} --settings {params.settings:q}"
            " --threads {threads} --on-reject $ON_REJECT --log {log:q}"


rule merge_catalogue:
    input:
        unpack(RULES.tables),
        cluster_table=as_inputs(*GRAPH.cluster_table),
    output:
        **RULES.merged,
    log:
        PRODUCTS.log("merge_catalogue"),
    benchmark:
        PRODUCTS.benchmark("merge_catalogue")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(30),
    params:
        settings=RULES.settings(
            *(*CONFIG.keys_of_tables, "measure", "limits", "segmentation.model"),
            *("segmentation.mode", "segmentation.threshold", "segmentation.min_island_beams"),
        ),
        made_with=RULES.made_with,
        added=lambda wildcards: options_of_added(PRODUCTS),
        rows=lambda wildcards: FRESHNESS.fingerprints.of_all(GRAPH.cluster_table),
        code=FRESHNESS.code("merge_catalogue"),
    shell:
        "stage merge_catalogue --settings {params.settings:q} {params.made_with:q}"
        " {params.added:q} --log {log:q}"
