# From image to mask. Tiles are an array axis of one file, never a wildcard.
rule tile:
    input:
        image=PRODUCTS.image("{mosaic}"),
        card=f"{GRAPH.model_folder}/card.yaml",
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
        mode=CONFIG.segmentation.mode,
        code=code_hash("tile"),
    shell:
        "$PYTHON $SCRIPTS/tile.py --mosaic {wildcards.mosaic} --image {input.image:q} --model {params.model:q}"
        " --mode {params.mode} --out {output.tiles:q} --on-reject $ON_REJECT --log {log:q}"


rule infer:
    input:
        tiles=PRODUCTS.tiles("{mosaic}"),
        card=f"{GRAPH.model_folder}/card.yaml",
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
        options=options_to(CONFIG.segmentation, "batch", "precision"),
        code=code_hash("infer"),
    shell:
        "$PYTHON $SCRIPTS/infer.py {input.tiles:q} --out {output.cores:q} --model {params.model:q} {params.options}"
        " --threads {threads} --on-reject $ON_REJECT --log {log:q}"


rule stitch:
    input:
        cores=PRODUCTS.cores("{mosaic}"),
        image=PRODUCTS.image("{mosaic}"),
        card=f"{GRAPH.model_folder}/card.yaml",
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
        mask=options_to(CONFIG.segmentation, "threshold", "min_island_beams"),
        code=code_hash("stitch"),
    shell:
        "$PYTHON $SCRIPTS/stitch.py --mosaic {wildcards.mosaic} --cores {input.cores:q} --image {input.image:q}"
        " --model {params.model:q} {params.mask} --probability {output.probability:q}"
        " --mask {output.mask:q} --on-reject $ON_REJECT --log {log:q}"
