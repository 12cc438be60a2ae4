# From image to mask, in memory. The scripts tile, infer and stitch do the same one after another.
rule segment:
    input:
        image=RULES.image,
        model=RULES.model,
    output:
        probability=PRODUCTS.probability("{mosaic}"),
        mask=PRODUCTS.mask("{mosaic}"),
    log:
        PRODUCTS.log("segment", "{mosaic}"),
    benchmark:
        PRODUCTS.benchmark("segment", "{mosaic}")
    group:
        RULES.group_of_segment
    conda:
        NETWORK_ENVIRONMENT
    threads: 2
    resources:
        mem_mb=doubling(4000),
        runtime=RULES.minutes_of_segment,
        models=1,
    params:
        root=fixed(PRODUCTS.root),
        card=lambda wildcards: GRAPH.model_state,
        settings=RULES.settings(
            *("segmentation.model", "segmentation.mode", "segmentation.batch"),
            *("segmentation.precision", "segmentation.threshold", "segmentation.min_island_beams"),
        ),
        code=FRESHNESS.code("segment"),
    shell:
        "stage segment --mosaic {wildcards.mosaic:q} --image {input.image:q} --settings {params.settings:q}"
        " --probability {output.probability:q} --mask {output.mask:q}"
        " --root {params.root:q} --beside ${{RADIOUNET_BESIDE:-}} --threads {threads} --on-reject $ON_REJECT --log {log:q}"
