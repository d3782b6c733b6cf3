"""A kit for plugin authors' tests: a fake upstream, a faulty server, projects, programs, conformance checks, contexts,
and stand-ins for a registry of images and an archive of Debian packages.

::

    from k8sbuild.testing import checks, project, upstream

    fake = upstream.make(tmp_path / "upstream", go="1.24")
    outcome = project.make(tmp_path / "distribution", env=fake.env).run("build", "--k8s=v1.99.3")
    assert outcome.code == 0, outcome.stderr
"""
