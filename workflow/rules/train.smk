# Simulated pairs, training and evaluation of a model: `make model MODEL=NAME`, with
# config/models/NAME.yaml. The numbers of the pairs are their seeds: training first,
# then calibration, then held out.
PAIRS = f"{CONFIG.results}/training/pairs/{{pair}}.fits"
TRAINED = f"{CONFIG.results}/training/{CONFIG.segmentation.model}"
LAST = [CONFIG.train.fields, CONFIG.train.calibrate, CONFIG.train.held_out]
TRAINING_THREADS = 16  # at most; Snakemake gives no more than --cores
TRAIN_PAIRS = expand(PAIRS, pair=range(LAST[0]))
CALIBRATION_PAIRS = expand(PAIRS, pair=range(LAST[0], sum(LAST[:2])))
STARTS = [f"{folder}/card.yaml" for folder in CONFIG.train.model_folders]
HELD_OUT_PAIRS = expand(PAIRS, pair=range(sum(LAST[:2]), sum(LAST)))


rule simulate:
    output:
        pair=PAIRS,
    log:
        f"{CONFIG.results}/training/logs/simulate/{{pair}}.log",
    benchmark:
        f"{CONFIG.results}/training/benchmarks/simulate/{{pair}}.tsv"
    wildcard_constraints:
        pair=r"\d+",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(10),
    params:
        settings=RULES.settings("simulate"),
        code=code_hash("simulate"),
    shell:
        "stage simulate --pair {wildcards.pair:q} --out {output.pair:q} --settings {params.settings:q} --log {log:q}"


rule train:
    input:
        pairs=TRAIN_PAIRS,
        validation=CALIBRATION_PAIRS[:8],
        starts=STARTS,
    output:
        weights=f"{TRAINED}/network.weights.h5",
        curve=f"{TRAINED}/learning_curve.csv",
    log:
        f"{TRAINED}/logs/train.log",
    benchmark:
        f"{TRAINED}/benchmarks/train.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: TRAINING_THREADS
    resources:
        mem_mb=doubling(6000),
        runtime=doubling(240),
    params:
        settings=RULES.settings("train"),
        code=code_hash("train"),
    shell:
        "stage train --pairs {input.pairs:q} --validation {input.validation:q}"
        " --weights {output.weights:q} --curve {output.curve:q} --threads {threads}"
        " --settings {params.settings:q} --log {log:q}"


rule evaluate:
    input:
        calibration=CALIBRATION_PAIRS,
        held_out=HELD_OUT_PAIRS,
        weights=f"{TRAINED}/network.weights.h5",
        curve=f"{TRAINED}/learning_curve.csv",
    output:
        folder=directory(f"{TRAINED}/model"),
    log:
        f"{TRAINED}/logs/evaluate.log",
    benchmark:
        f"{TRAINED}/benchmarks/evaluate.tsv"
    conda:
        NETWORK_ENVIRONMENT
    threads: TRAINING_THREADS
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(60),
    params:
        name=CONFIG.segmentation.model,
        settings=RULES.settings("train"),
        code=code_hash("evaluate"),
    shell:
        "stage evaluate --calibration-pairs {input.calibration:q}"
        " --held-out-pairs {input.held_out:q} --weights {input.weights:q} --curve {input.curve:q}"
        " --name {params.name:q} --out {output.folder:q} --threads {threads} --settings {params.settings:q} --log {log:q}"


rule model:
    input:
        f"{TRAINED}/model",
    localrule: True
