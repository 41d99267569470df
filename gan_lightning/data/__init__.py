"""Real samples: Lightning data modules over one counter-based stream."""

from gan_lightning.data.audio_folder import AudioFolder
from gan_lightning.data.base import RealData
from gan_lightning.data.degradations import Degradation, Edges, Grey, LowResolution, Masked
from gan_lightning.data.digits import Digits
from gan_lightning.data.folder_pairs import DegradedFolder, SideBySide
from gan_lightning.data.image_folder import ImageFolder
from gan_lightning.data.implicit_feedback import ImplicitFeedback, SyntheticFeedback
from gan_lightning.data.loaded import data_of, from_dataset
from gan_lightning.data.melodies import Melodies
from gan_lightning.data.pairs import ImagePairs, RandomPairs
from gan_lightning.data.query_documents import QueryDocuments
from gan_lightning.data.rolls import Rolls
from gan_lightning.data.samples import PairedSamples, RealSamples, Sources, StoredSources
from gan_lightning.data.stacked_digits import StackedDigits, StackedMNIST
from gan_lightning.data.stream import Batch, Rounds
from gan_lightning.data.styled import RandomStyled, StyledFolder
from gan_lightning.data.synthetic import GaussianMixture, Grid, RandomImages, Ring, SwissRoll
from gan_lightning.data.text import Text
from gan_lightning.data.torchvision_images import TorchvisionImages
from gan_lightning.data.two_folders import TwoFolders, UnpairedFolders

__all__ = [
    "AudioFolder",
    "Batch",
    "Degradation",
    "DegradedFolder",
    "Digits",
    "Edges",
    "GaussianMixture",
    "Grey",
    "Grid",
    "ImageFolder",
    "ImplicitFeedback",
    "LowResolution",
    "Masked",
    "PairedSamples",
    "ImagePairs",
    "Melodies",
    "QueryDocuments",
    "RandomImages",
    "RandomPairs",
    "RandomStyled",
    "RealData",
    "RealSamples",
    "Ring",
    "Rolls",
    "Rounds",
    "SideBySide",
    "Sources",
    "StackedDigits",
    "StackedMNIST",
    "StoredSources",
    "StyledFolder",
    "SwissRoll",
    "SyntheticFeedback",
    "Text",
    "TorchvisionImages",
    "TwoFolders",
    "UnpairedFolders",
    "data_of",
    "from_dataset",
]
