# From the archive to the disk; beside Snakemake, since compute nodes often have no network, or on the
# partition that a profile names.
# Images, fields and models have no code hash among their params: newer code does not change verified
# bytes, nor the weights that are taken from them. Nor have 6" cut-outs, which nearly all code of measuring
# is imported for: each change would download images of a gigabyte again.


rule lists:
    input:
        GRAPH.lists_made_first,
    localrule: True


rule fetch_lists:
    output:
        **RULES.lists,
    log:
        PRODUCTS.log("fetch_lists"),
    benchmark:
        PRODUCTS.benchmark("fetch_lists")
    localrule: RULES.runs_beside_snakemake("fetch_lists")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
        connections=1,
    params:
        settings=RULES.settings(*CONFIG.keys_of_lists),
        source=lambda wildcards: lists_source(CONFIG.published_release, RULES.lists["mosaics"]),
        code=code_hash("fetch_lists"),
    shell:
        "stage fetch_lists --source {params.source:q}"
        ' --settings "$DOWNLOAD" --settings {params.settings:q} --log {log:q}'


rule fetch_clusters:
    output:
        table=f"{CLUSTER_FOLDER}/{{catalogue}}.ecsv",
    log:
        PRODUCTS.log("fetch_clusters", "{catalogue}"),
    benchmark:
        PRODUCTS.benchmark("fetch_clusters", "{catalogue}")
    localrule: RULES.runs_beside_snakemake("fetch_clusters")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
        connections=1,
    params:
        settings=lambda wildcards: settings_to(CONFIG, ("archive", "clusters", wildcards.catalogue)),
        source=lambda wildcards: catalogue_source(
            CONFIG.archive.clusters[wildcards.catalogue],
            f"{CLUSTER_FOLDER}/{wildcards.catalogue}.ecsv",
        ),
        code=code_hash("fetch_clusters"),
    shell:
        "stage fetch_clusters --name {wildcards.catalogue:q} --source {params.source:q}"
        " --settings {params.settings:q}"
        ' --settings "$DOWNLOAD" --out {output.table:q} --log {log:q}'


if len(CONFIG.clusters) > 1:

    rule merge_clusters:
        input:
            lists=as_inputs(*GRAPH.cluster_lists),
        output:
            table=CONFIG.survey_products.cluster_list(),
        log:
            PRODUCTS.log("merge_clusters"),
        benchmark:
            PRODUCTS.benchmark("merge_clusters")
        localrule: True
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=2000,
            runtime=10,
        params:
            settings=RULES.settings(
                *("clusters", "measure.h0", "measure.omega_m", "measure.unit"),
                *CONFIG.keys_of_fetched_clusters,
            ),
            rows=lambda wildcards: FRESHNESS.fingerprints.of_all(GRAPH.cluster_lists),
            code=FRESHNESS.code("merge_clusters"),
        shell:
            "stage merge_clusters --settings {params.settings:q} --out {output.table:q} --log {log:q}"


rule fetch_model:
    output:
        card=f"{GRAPH.models_from_here}/{{model}}/{MODEL_CARD}",
        weights=f"{GRAPH.models_from_here}/{{model}}/{MODEL_WEIGHTS}",
    log:
        PRODUCTS.log("fetch_model", "{model}"),
    benchmark:
        PRODUCTS.benchmark("fetch_model", "{model}")
    wildcard_constraints:
        model="|".join(map(re.escape, CONFIG.archive.models)) or "none",
    localrule: RULES.runs_beside_snakemake("fetch_model")
    conda:
        NETWORK_ENVIRONMENT
    threads: 1
    resources:
        mem_mb=3000,
        runtime=30,
        connections=1,
    params:
        settings=lambda wildcards: settings_to(CONFIG, ("archive", "models", wildcards.model)),
    shell:
        "stage fetch_model --name {wildcards.model:q} --settings {params.settings:q}"
        ' --settings "$DOWNLOAD" --log {log:q}'


if CONFIG.mosaics.source == "published":

    rule fetch_mosaic:
        output:
            image=PRODUCTS.image("{mosaic}"),
            source=PRODUCTS.mosaic_source("{mosaic}"),
        log:
            PRODUCTS.log("fetch_mosaic", "{mosaic}"),
        benchmark:
            PRODUCTS.benchmark("fetch_mosaic", "{mosaic}")
        localrule: RULES.runs_beside_snakemake("fetch_mosaic")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=500,
            runtime=doubling(60),
            connections=1,
        params:
            mosaic=lambda wildcards: GRAPH.known(wildcards.mosaic),
            settings=RULES.settings(*CONFIG.keys_of_files("mosaic", "mosaic_files")),
            checksums=fixed(GRAPH.checksum_tables),
        shell:
            "stage fetch_mosaic --mosaic {params.mosaic:q}"
            ' --settings "$DOWNLOAD" --settings {params.settings:q} --checksums {params.checksums:q}'
            " --image {output.image:q} --source {output.source:q} --on-reject $ON_REJECT --log {log:q}"


if CONFIG.mosaics.high_resolution:

    rule fetch_high_resolution:
        output:
            cutouts=PRODUCTS.high_resolution("{mosaic}"),
        log:
            PRODUCTS.log("fetch_high_resolution", "{mosaic}"),
        benchmark:
            PRODUCTS.benchmark("fetch_high_resolution", "{mosaic}")
        localrule: RULES.runs_beside_snakemake("fetch_high_resolution")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=doubling(2000),
            runtime=doubling(60),
            connections=1,
        params:
            # the clusters of this mosaic only: a list that grows elsewhere fetches nothing anew
            list=fixed(GRAPH.list_options),
            places=lambda wildcards: GRAPH.places_of_clusters(wildcards.mosaic),
            clusters=fixed(GRAPH.cluster_table),
            settings=RULES.settings_of_mosaic(
                *("mosaics.high_resolution", "measure.h0", "measure.omega_m", "measure.unit")
            ),
        shell:
            "stage fetch_high_resolution --mosaic {wildcards.mosaic:q} --clusters {params.clusters:q}"
            ' {params.list:q} --settings {params.settings:q} --settings "$DOWNLOAD"'
            " --out {output.cutouts:q} --on-reject $ON_REJECT --log {log:q}"


if CONFIG.measure.fetches_components:

    rule fetch_components:
        output:
            table=PRODUCTS.components("{mosaic}"),
        log:
            PRODUCTS.log("fetch_components", "{mosaic}"),
        benchmark:
            PRODUCTS.benchmark("fetch_components", "{mosaic}")
        localrule: RULES.runs_beside_snakemake("fetch_components")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=doubling(3000),
            runtime=doubling(60),
            connections=1,
        params:
            settings=RULES.settings("measure.components"),
            code=FRESHNESS.code("fetch_components"),
        shell:
            "stage fetch_components --mosaic {wildcards.mosaic:q} --settings {params.settings:q}"
            ' --settings "$DOWNLOAD" --out {output.table:q} --on-reject $ON_REJECT --log {log:q}'


if CONFIG.mosaics.source == "fields":

    rule fetch_field:
        output:
            int_image=PRODUCTS.field_image("{field}", "int"),
            app_image=PRODUCTS.field_image("{field}", "app"),
            source=PRODUCTS.field_source("{field}"),
        log:
            PRODUCTS.log("fetch_field", "{field}"),
        benchmark:
            PRODUCTS.benchmark("fetch_field", "{field}")
        localrule: RULES.runs_beside_snakemake("fetch_field")
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=500,
            runtime=doubling(60),
            connections=1,
        params:
            settings=RULES.settings(
                *CONFIG.keys_of_files("field", "field_int_files", "field_app_files"),
            ),
            checksums=fixed(GRAPH.checksum_tables),
        shell:
            "stage fetch_field --field {wildcards.field:q}"
            ' --settings "$DOWNLOAD" --settings {params.settings:q} --checksums {params.checksums:q}'
            " --int-image {output.int_image:q} --app-image {output.app_image:q}"
            " --source {output.source:q} --on-reject $ON_REJECT --log {log:q}"


if CONFIG.mosaics.source == "images":

    rule list_images:
        output:
            table=GRAPH.mosaic_list,
        log:
            PRODUCTS.log("list_images"),
        benchmark:
            PRODUCTS.benchmark("list_images")
        localrule: True
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            settings=RULES.settings(*CONFIG.keys_of_cells),
            sources=lambda wildcards: FRESHNESS.fingerprints.of_all(
                image.path for image in CONFIG.mosaics.images
            ),
            code=FRESHNESS.code("list_images"),
        shell:
            "stage list_images --settings {params.settings:q} --out {output.table:q} --log {log:q}"
