"""The research object of a publication, and texts that say how to cite it.

The metadata follow RO-Crate 1.1 and the profile Workflow Run Crate 0.5, written without a clock: the same
publication has the same bytes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from radiounet import __version__
from radiounet.images.products import CATALOGUE_KINDS, Publication
from radiounet.images.provenance import code_hash
from radiounet.images.words import html_text, markdown, one_line
from radiounet.publishing.hips_summary import UNKNOWN_DATE
from radiounet.publishing.workflow_files import CONFIGURATION, SNAKEFILE
from radiounet.settings.publish import PublishOptions
from radiounet.settings.releases import Release

PROFILES = [
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
]
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
SPDX = "https://spdx.org/licenses"
UNNAMED = "not named"
"""Creator of a publication for which none is named."""
CRATE = "ro-crate-metadata.json"
NO_LIMITS = "Upper limits were not measured (limits.enabled), so there is no map of completeness."
DEVELOPERS = "the radiounet-lotss developers"
NETWORK_PAPER = "Stuardi et al. 2024, MNRAS, arXiv:2408.10871", "10.1093/mnras/stae2014"
KINDS = {
    "fz": "application/fits",
    "fits": "application/fits",
    "vot": "application/x-votable+xml",
    "csv": "text/csv",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "dat": "text/plain",
    "md": "text/markdown",
    "py": "text/x-python",
    "rst": "text/x-rst",
    "smk": "text/plain",
    "yaml": "application/yaml",
    "zip": "application/zip",
    "": "text/plain",
}


def research_files(
    release: Release,
    meta: Mapping[str, object],
    files: Mapping[str, str],
    date: str,
    options: PublishOptions,
) -> dict[str, bytes]:
    """Return RO-Crate metadata, ``.zenodo.json`` and ``CITATION.md``, by name.

    Parameters
    ----------
    release : Release
    meta : mapping
        Metadata of the catalogue of clusters: model, modelsha, version, codehash, clusters.
    files : mapping of str to str
        SHA-256 of the published files by name, those of the workflow among them.
    date : str
        Of the data, '' if unknown.
    options : PublishOptions
        Creators and licence.
    """
    used = _used(release, meta) | {"limits": "" if Publication.completeness() in files else f" {NO_LIMITS}"}
    title = f"{release.title}: diffuse radio emission by Radio U-Net"
    crate = _crate(title, used, release, files, options.date or date or UNKNOWN_DATE, options)
    return {
        CRATE: _json(crate),
        ".zenodo.json": _json(_zenodo(title, used, release, options)),
        "CITATION.md": _citation(title, used, release, options).encode("utf-8"),
    }


def _json(content: Mapping) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def _used(release: Release, meta: Mapping[str, object]) -> dict[str, str]:
    known = {key: one_line(meta.get(key, "unknown")) for key in ("model", "modelsha", "clusters")}
    return known | {
        "clusters_sha": one_line(meta.get("clusters_sha256", "unknown")),
        "survey": one_line(release.title),
        "version": one_line(meta.get("version", "unknown")),
        "code": one_line(meta.get("codehash", "unknown")),
    }


def _described(used: Mapping[str, str]) -> str:
    return (
        f"Masks, probability maps and catalogues of diffuse radio emission in {used['survey']}. "
        f"Network: {used['model']}, SHA-256 of its weights {used['modelsha']}. "
        f"Code: radiounet {used['version']}, hash {used['code']}. "
        f"Clusters: {used['clusters']}, SHA-256 {used['clusters_sha']}.{used['limits']}"
    )


def _of_other_code(used: Mapping[str, str]) -> str:
    """What to say of a run that was made with other code than that of the workflow in its publication."""
    if used["code"] == code_hash():
        return ""
    return (
        f" The run was made with code {used['code']}; the workflow in this publication is code {code_hash()}."
    )


def _papers(release: Release) -> list[tuple[str, str]]:
    """Texts and DOIs, each paper once: letters of a DOI have no case."""
    is_other = release.doi.casefold() not in ("", NETWORK_PAPER[1].casefold())
    return [NETWORK_PAPER, *([(release.paper, release.doi)] if is_other else [])]


def _zenodo(title: str, used: Mapping[str, str], release: Release, options: PublishOptions) -> dict:
    return {
        "title": title,
        "upload_type": "dataset",
        "description": html_text(_described(used)),
        "creators": [{"name": name} for name in _creators(options)],
        "license": options.license.lower(),
        "access_right": "open",
        **({"publication_date": options.date} if options.date else {}),
        "keywords": [
            "radio astronomy",
            "galaxy clusters",
            "diffuse radio emission",
            *filter(None, (release.facility, release.survey)),
        ],
        "references": [text for text, _ in _papers(release)],
        "related_identifiers": [
            {"identifier": doi, "relation": "isDerivedFrom", "scheme": "doi"} for _, doi in _papers(release)
        ],
    }


def _creators(options: PublishOptions) -> list[str]:
    return [one_line(name) for name in options.creators] or [UNNAMED]


def _citation(title: str, used: Mapping[str, str], release: Release, options: PublishOptions) -> str:
    lines = [f"# {markdown(title)}", ""]
    lines += [f"Creators: {markdown('; '.join(_creators(options)))}. Licence: {options.license}.", ""]
    lines += ["Masks, probability maps and catalogues of diffuse radio emission, made with", ""]
    lines += [f"- images: {markdown(used['survey'])}"]
    lines += [f"- network: {markdown(used['model'])}, SHA-256 of its weights `{used['modelsha']}`"]
    lines += [f"- code: radiounet {markdown(used['version'])}, hash `{used['code']}`"]
    lines += [f"- list of clusters: {markdown(used['clusters'])}, SHA-256 `{used['clusters_sha']}`", ""]
    lines += ["If you use them, please cite this publication and", ""]
    lines += [f"- {markdown(text)}, doi:{markdown(doi)}" for text, doi in _papers(release)]
    lines += ["- the catalogues that the list of clusters was made from"]
    if used["limits"]:
        lines += ["", used["limits"].strip()]
    return "\n".join(lines) + "\n"


def _crate(
    title: str,
    used: Mapping[str, str],
    release: Release,
    files: Mapping[str, str],
    date: str,
    options: PublishOptions,
) -> dict:
    """RO-Crate: catalogues, MOCs and tables as files; maps and tiles, which are many, as folders."""
    workflow = sorted(name for name in files if name.startswith("workflow/"))
    single = sorted(name for name in files if "/" not in name or name.startswith(SINGLE))
    folders = sorted({f"{name.split('/', 1)[0]}/" for name in files} - {*SINGLE, "workflow/"})
    folders = [name for name in folders if name.rstrip("/") not in files]
    parts = _links([*single, *folders])
    entities = [
        _descriptor(),
        _dataset(title, used, release, date, options) | {"hasPart": [*_links(workflow), *parts]},
        *_cited(release, options),
        *_run(used, [name for name in workflow if name == CONFIGURATION], parts),
        *_workflow(files, workflow, used),
        *(_file(name, files[name]) for name in single),
        *(
            {"@id": name, "@type": "Dataset", "name": name.rstrip("/"), "description": FOLDERS.get(name, "")}
            for name in folders
        ),
    ]
    return {"@context": CONTEXT, "@graph": [_unlisted(one) for one in _joined(entities)]}


def _links(names: Iterable[str]) -> list[dict[str, str]]:
    """References to entities."""
    return [{"@id": name} for name in names]


def _descriptor() -> dict:
    """The file of metadata itself."""
    profiles = ("https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0")
    about = {"about": {"@id": "./"}, "conformsTo": _links(profiles)}
    return {"@id": CRATE, "@type": "CreativeWork", **about}


def _dataset(
    title: str, used: Mapping[str, str], release: Release, date: str, options: PublishOptions
) -> dict:
    """The publication as a whole, but for its parts."""
    creators = _links(_persons(options))
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": title,
        "description": _described(used),
        "datePublished": date,
        "license": {"@id": f"{SPDX}/{options.license}"},
        **({"author": creators} if creators else {}),
        "conformsTo": _links(one for one, _, _ in PROFILES),
        "mainEntity": {"@id": SNAKEFILE},
        "mentions": [{"@id": "#run"}],
        "citation": _links(f"https://doi.org/{doi}" for _, doi in _papers(release)),
    }


def _persons(options: PublishOptions) -> dict[str, str]:
    """Names of the creators, by identifier."""
    return {f"#creator-{number}": one_line(name) for number, name in enumerate(options.creators)}


def _cited(release: Release, options: PublishOptions) -> list[dict]:
    """Profiles, licence, people and papers that the publication refers to."""
    licence = f"{SPDX}/{options.license}"
    return [
        *(
            {"@id": one, "@type": "CreativeWork", "name": name, "version": version}
            for one, name, version in PROFILES
        ),
        {"@id": licence, "@type": "CreativeWork", "name": options.license, "identifier": licence},
        *({"@id": one, "@type": "Person", "name": name} for one, name in _persons(options).items()),
        {"@id": "#developers", "@type": "Organization", "name": DEVELOPERS},
        *(
            {"@id": f"https://doi.org/{doi}", "@type": "ScholarlyArticle", "name": text}
            for text, doi in _papers(release)
        ),
    ]


def _run(used: Mapping[str, str], given: Sequence[str], parts: Sequence[Mapping[str, str]]) -> list[dict]:
    """The run, what was given to it, and what it made."""
    return [
        {
            "@id": "#run",
            "@type": "CreateAction",
            "name": f"Run of radiounet {used['version']} over {used['survey']}",
            "description": _described(used) + _of_other_code(used),
            "instrument": {"@id": SNAKEFILE},
            "object": _links(["#used-weights", "#used-clusters", *given]),
            "result": parts,
        },
        *(
            {
                "@id": f"#used-{name}",
                "@type": "PropertyValue",
                "name": name,
                "value": value,
                "exampleOfWork": {"@id": f"#{name}"},
            }
            for name, value in (
                ("weights", f"{used['model']}, SHA-256 {used['modelsha']}"),
                ("clusters", f"{used['clusters']}, SHA-256 {used['clusters_sha']}"),
            )
        ),
    ]


def _workflow(files: Mapping[str, str], names: Sequence[str], used: Mapping[str, str]) -> list[dict]:
    """The workflow, its files, and what is given to it."""
    parts = [name for name in names if name not in (SNAKEFILE, CONFIGURATION)]
    parameters = {"weights": "PropertyValue", "clusters": "PropertyValue", "masks": "Dataset"}
    inputs = ["weights", "clusters"]
    entities: list[dict] = []
    if CONFIGURATION in names:
        parameters["configuration"] = "File"
        inputs.append("configuration")
        about = {"name": "Configuration of the run", "exampleOfWork": {"@id": "#configuration"}}
        entities.append(_file(CONFIGURATION, files[CONFIGURATION]) | about)
    return [
        {
            **_file(SNAKEFILE, files[SNAKEFILE]),
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "conformsTo": {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"},
            "name": "radiounet-lotss",
            "description": f"Files of radiounet {__version__}, code {code_hash()}{_of_other_code(used)}",
            "version": __version__,
            "programmingLanguage": {"@id": "#snakemake"},
            "author": {"@id": "#developers"},
            "license": {"@id": f"{SPDX}/BSD-3-Clause"},
            "hasPart": _links(parts),
            "input": _links(f"#{name}" for name in inputs),
            "output": [{"@id": "#masks"}],
        },
        *entities,
        *(_file(name, files[name]) for name in parts),
        {"@id": f"{SPDX}/BSD-3-Clause", "@type": "CreativeWork", "name": "BSD 3-Clause"},
        {
            "@id": "#snakemake",
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            "url": {"@id": "https://snakemake.readthedocs.io"},
        },
        *(
            {
                "@id": f"#{name}",
                "@type": "FormalParameter",
                "additionalType": kind,
                "name": name,
                "conformsTo": {"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"},
            }
            for name, kind in parameters.items()
        ),
    ]


def _joined(entities: Sequence[dict]) -> list[dict]:
    """Entities with one for each identifier, which says all that is said of it; what is said first counts."""
    found: dict[str, dict] = {}
    for one in entities:
        found[one["@id"]] = one | found.get(one["@id"], {})
    return list(found.values())


def _unlisted(entity: Mapping) -> dict:
    """An entity whose lists of one are the one, as RO-Crate asks."""
    return {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in entity.items()
    }


SINGLE = ("catalogue/", "moc/", "cds/")
"""Folders whose files the crate lists one by one."""
FOLDERS = {
    "masks/": "Masks of all mosaics, tile-compressed FITS: 0 no, 1 diffuse, 255 no data",
    "probabilities/": "Probability of diffuse emission, tile-compressed FITS",
    "cutouts/": "Cut-outs of the clusters of each mosaic",
    "hips/": "HiPS of image, probability and mask",
}


def _file(name: str, checksum: str) -> dict:
    path = PurePosixPath(name)
    about = f"Catalogue of {path.stem}" if path.stem in CATALOGUE_KINDS else name
    kind = KINDS[path.suffix.removeprefix(".")]
    return {"@id": name, "@type": "File", "name": about, "sha256": checksum, "encodingFormat": kind}
