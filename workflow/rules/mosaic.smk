# Images at the model's pixel scale: mosaics of fields, or the user's own.
if CONFIG.mosaics.source == "fields":

    rule mosaic:
        input:
            sources=lambda wildcards: [
                PRODUCTS.field_source(field) for field in RULES.fields(wildcards)
            ],
            images=lambda wildcards: [
                PRODUCTS.field_image(field, kind)
                for field in GRAPH.fields_of(wildcards.mosaic)
                for kind in ("int", "app")
            ],
            flux_scale=as_inputs(*filter(None, [CONFIG.mosaics.options.flux_scale])),
        output:
            image=PRODUCTS.image("{mosaic}"),
            weights=PRODUCTS.weights("{mosaic}"),
            rms=PRODUCTS.rms("{mosaic}"),
            left_out=PRODUCTS.left_out("{mosaic}"),
        log:
            PRODUCTS.log("mosaic", "{mosaic}"),
        benchmark:
            PRODUCTS.benchmark("mosaic", "{mosaic}")
        conda:
            ENVIRONMENT
        threads: 2
        resources:
            # see benchmarks/README.md: two float64 sums of 5,916 px, and a window of one field
            mem_mb=doubling(2500),
            runtime=doubling(20),
        params:
            root=fixed(PRODUCTS.root),
            list=fixed(GRAPH.list_options),
            cells=lambda wildcards: GRAPH.cells_of_mosaicking(wildcards.mosaic),
            # noise maps and facet files are no inputs: a field without them is left out and reported,
            # where a missing input would stop the survey
            files=lambda wildcards: FRESHNESS.fingerprints.of_all(
                GRAPH.files_beside_fields(wildcards.mosaic)
            ),
            fields=lambda wildcards: GRAPH.fields_of(wildcards.mosaic),
            settings=RULES.settings_of_mosaic("mosaics.options"),
            code=FRESHNESS.code("mosaic"),
        shell:
            "stage mosaic --root {params.root:q} {params.list:q}"
            " --mosaic {wildcards.mosaic:q} --fields {params.fields:q}"
            " --settings {params.settings:q} --threads {threads} --on-reject $ON_REJECT --log {log:q}"


if CONFIG.mosaics.compare_to:

    rule compare_mosaic:
        input:
            ours=PRODUCTS.image("{mosaic}"),
            published=lambda wildcards: as_inputs(GRAPH.published_mosaic(wildcards.mosaic)),
        output:
            **comparison_files(PRODUCTS.comparison("{mosaic}")),
        log:
            PRODUCTS.log("compare_mosaic", "{mosaic}"),
        benchmark:
            PRODUCTS.benchmark("compare_mosaic", "{mosaic}")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=doubling(4000),
            runtime=doubling(20),
        params:
            folder=lambda wildcards: PRODUCTS.comparison(wildcards.mosaic),
            published=lambda wildcards: GRAPH.published_mosaic(wildcards.mosaic),
            state=lambda wildcards: FRESHNESS.fingerprints.of(
                GRAPH.published_mosaic(wildcards.mosaic)
            ),
            code=FRESHNESS.code("compare_mosaic"),
        shell:
            "stage compare_mosaic --ours {input.ours:q} --published {params.published:q}"
            " --out {params.folder:q} --on-reject $ON_REJECT --log {log:q}"

    rule compare_mosaics:
        input:
            lambda wildcards: [
                comparison_files(PRODUCTS.comparison(mosaic))["found"] for mosaic in GRAPH.selected
            ],
        localrule: True


if CONFIG.mosaics.source == "images":

    rule prepare_image:
        input:
            model=RULES.model,
        output:
            image=PRODUCTS.image("{mosaic}"),
        log:
            PRODUCTS.log("prepare_image", "{mosaic}"),
        benchmark:
            PRODUCTS.benchmark("prepare_image", "{mosaic}")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=doubling(4000),
            runtime=doubling(30),
        params:
            card=lambda wildcards: GRAPH.model_state,
            settings=RULES.settings_of_mosaic("mosaics.images", "segmentation.model"),
            source=lambda wildcards: FRESHNESS.fingerprints.of(
                CONFIG.mosaics.own_image(wildcards.mosaic).path
            ),
            code=FRESHNESS.code("prepare_image"),
        shell:
            "stage prepare_image --name {wildcards.mosaic:q} --settings {params.settings:q}"
            " --out {output.image:q} --on-reject $ON_REJECT --log {log:q}"
