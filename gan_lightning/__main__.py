"""`python -m gan_lightning` is `gan-lightning`."""

from gan_lightning.cli.main import main

if __name__ == "__main__":
    main()
