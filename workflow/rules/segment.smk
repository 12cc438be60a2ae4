# From image to mask. Tiles are an array axis of one file, never a wildcard.
rule tile:
    input:
        image=RULES.image,
        card=fixed(GRAPH.model_card),
    output:
        tiles=temp(PRODUCTS.tiles("{mosaic}")),
    log:
        PRODUCTS.log("tile", "{mosaic}"),
    benchmark:
        PRODUCTS.benchmark("tile", "{mosaic}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(20),
    params:
        model=CONFIG.segmentation.model,
        card=lambda wildcards: GRAPH.model_state,
        settings=RULES.settings("segmentation.mode"),
        code=FRESHNESS.code("tile"),
    shell:
        "stage tile --mosaic {wildcards.mosaic:q} --image {input.image:q} --model {params.model:q}"
        " --settings {params.settings:q} --out {output.tiles:q} --on-reject $ON_REJECT --log {log:q}"


rule infer:
    input:
        tiles=PRODUCTS.tiles("{mosaic}"),
        card=fixed(GRAPH.model_card),
        weights=fixed(GRAPH.fetched_weights),
    output:
        cores=temp(PRODUCTS.cores("{mosaic}")),
    log:
        PRODUCTS.log("infer", "{mosaic}"),
    benchmark:
        PRODUCTS.benchmark("infer", "{mosaic}")
    conda:
        NETWORK_ENVIRONMENT
    threads: 2
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    params:
        model=CONFIG.segmentation.model,
        card=lambda wildcards: GRAPH.model_state,
        settings=RULES.settings("segmentation.batch", "segmentation.precision"),
        code=FRESHNESS.code("infer"),
    shell:
        "stage infer {input.tiles:q} --out {output.cores:q} --model {params.model:q} --settings {params.settings:q}"
        " --threads {threads} --on-reject $ON_REJECT --log {log:q}"


rule stitch:
    input:
        cores=PRODUCTS.cores("{mosaic}"),
        image=PRODUCTS.image("{mosaic}"),
        card=fixed(GRAPH.model_card),
    output:
        probability=PRODUCTS.probability("{mosaic}"),
        mask=PRODUCTS.mask("{mosaic}"),
    log:
        PRODUCTS.log("stitch", "{mosaic}"),
    benchmark:
        PRODUCTS.benchmark("stitch", "{mosaic}")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=doubling(20),
    params:
        model=CONFIG.segmentation.model,
        card=lambda wildcards: GRAPH.model_state,
        settings=RULES.settings("segmentation.threshold", "segmentation.min_island_beams"),
        code=FRESHNESS.code("stitch"),
    shell:
        "stage stitch --mosaic {wildcards.mosaic:q} --cores {input.cores:q} --image {input.image:q}"
        " --model {params.model:q} --settings {params.settings:q} --probability {output.probability:q}"
        " --mask {output.mask:q} --on-reject $ON_REJECT --log {log:q}"
