"""The fifteen UCI data sets of Mohapatra et al. 2021 (AdaSwarm), a row of facts each: where, in what form, what to do.

A row drives the reader in `uci.py`; docs/data.md tells it in words. Columns are counted from 0.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class OpenML:
    """The same data set, or nearly, at openml.org: its id, its shape there, the columns to leave out.

    `above` is as that of the table, where the target is a number there too. `sha256` is that of the arrays made of it,
    where these were ever seen; else None.
    """

    id: int
    rows: int
    columns: int
    drop: tuple[str, ...] = ()
    above: float | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Table:
    """A text file of comma-separated values, and what becomes of it."""

    name: str
    title: str
    file: str  # below the data folder
    sha256: str
    rows: int  # that remain
    features: int  # that it becomes
    classes: int
    openml: OpenML
    target: int = -1  # its column
    header: bool = False
    drop: tuple[int, ...] = ()  # columns that are no features
    categorical: tuple[int, ...] = ()  # columns that become one column of 0 and 1 a value, in the order of the alphabet
    missing: str | None = None  # how a missing value is written; rows with one are left out
    above: float | None = None  # the target is a number, and the two classes are up to this one and above it


TABLES = (
    Table(
        name="iris",
        title="Iris",
        file="uci/iris/iris.data",
        sha256="6f608b71a7317216319b4d27b4d9bc84e6abd734eda7872b71a458569e2656c0",
        rows=150,
        features=4,
        classes=3,
        openml=OpenML(
            61,
            rows=150,
            columns=4,
            sha256="4a86e7bc26e42b9fb70f408e030e24853c11004ba9ebc8f6eef1a3b886ab3eed",
        ),
    ),
    Table(
        name="ionosphere",
        title="Ionosphere",
        file="uci/ionosphere/ionosphere.data",
        sha256="46d52186b84e20be52918adb93e8fb9926b34795ff7504c24350ae0616a04bbd",
        rows=351,
        features=34,
        classes=2,
        openml=OpenML(59, rows=351, columns=34),
    ),
    Table(
        name="breast_cancer_wisconsin",
        title="Breast cancer Wisconsin (original)",
        file="uci/breast-cancer-wisconsin/breast-cancer-wisconsin.data",
        sha256="402c585309c399237740f635ef9919dc512cca12cbeb20de5e563a4593f22b64",
        rows=683,
        features=9,
        classes=2,
        drop=(0,),  # the number of the sample
        missing="?",
        openml=OpenML(15, rows=699, columns=9),
    ),
    Table(
        name="sonar",
        title="Sonar",
        file="uci/sonar/sonar.all-data",
        sha256="e90434cdbf00fcf93ffa911fe447ae25606979658e60f1d32e155c3b5240234d",
        rows=208,
        features=60,
        classes=2,
        openml=OpenML(40, rows=208, columns=60),
    ),
    Table(
        name="seeds",
        title="Wheat seeds",
        file="uci/seeds/wheat-seeds.csv",
        sha256="8dbd1853a4439afc113cfe07f290422c7ce3fe48745d71f3f7eaa027cd38fd6e",
        rows=210,
        features=7,
        classes=3,
        openml=OpenML(1499, rows=210, columns=7),
    ),
    Table(
        name="banknote",
        title="Banknote authentication",
        file="uci/banknote/data_banknote_authentication.txt",
        sha256="d0539aaed2139ba7a587b3e34fb345ce503ff7d5d33dbf9912d8e195ce425cb9",
        rows=1372,
        features=4,
        classes=2,
        openml=OpenML(1462, rows=1372, columns=4),
    ),
    Table(
        name="heart",
        title="Heart disease, Cleveland",
        file="uci/heart-disease/processed.cleveland.data",
        sha256="a74b7efa387bc9d108d7d0115d831fe9b414b29ae7124f331b622b4efa0427c8",
        rows=297,
        features=22,
        classes=2,
        categorical=(2, 6, 10, 12),  # kind of chest pain, electrocardiogram, slope, thallium test
        missing="?",
        above=0,  # healthy, or ill to any degree
        openml=OpenML(49, rows=303, columns=13),
    ),
    Table(
        name="haberman",
        title="Haberman's survival",
        file="uci/haberman/haberman.data",
        sha256="b4b7a32586a5668f9f4d6dc8be9d1bc8cd4822523affb1f6b5bfc350681ef3e2",
        rows=306,
        features=3,
        classes=2,
        openml=OpenML(43, rows=306, columns=3),
    ),
    Table(
        name="wine",
        title="Wine",
        file="uci/wine/wine.data",
        sha256="6be6b1203f3d51df0b553a70e57b8a723cd405683958204f96d23d7cd6aea659",
        rows=178,
        features=13,
        classes=3,
        target=0,
        openml=OpenML(187, rows=178, columns=13),
    ),
    Table(
        name="car",
        title="Car evaluation",
        file="uci/car/car.data",
        sha256="b703a9ac69f11e64ce8c223c0a40de4d2e9d769f7fb20be5f8f2e8a619893d83",
        rows=1728,
        features=21,
        classes=4,
        categorical=(0, 1, 2, 3, 4, 5),
        openml=OpenML(40975, rows=1728, columns=6),
    ),
    Table(
        name="ilpd",
        title="Indian liver patients",
        file="uci/ilpd/ILPD.csv",
        sha256="23d74e0035f319efff79ed2d71de63d5c771ce7ad748e79b98812b0224d60901",
        rows=579,
        features=11,
        classes=2,
        categorical=(1,),  # sex
        missing="",
        openml=OpenML(1480, rows=583, columns=10),
    ),
    Table(
        name="abalone",
        title="Abalone",
        file="uci/abalone/abalone.data",
        sha256="de37cdcdcaaa50c309d514f248f7c2302a5f1f88c168905eba23fe2fbc78449f",
        rows=4177,
        features=10,
        classes=2,
        categorical=(0,),  # male, female, infant
        above=11,  # rings: at 11 the larger class has the 77 % that the paper's constant predictors have
        openml=OpenML(183, rows=4177, columns=8, above=11),
    ),
    Table(
        name="titanic",
        title="Titanic",
        file="uci/titanic/train.csv",
        sha256="7d118fef8b6ccf7f81111877bc388536f7b1e498a655e3d649d19aaa010e9f6f",
        rows=712,
        features=10,
        classes=2,
        target=1,
        header=True,
        drop=(0, 3, 8, 10),  # PassengerId, Name, Ticket, Cabin
        categorical=(4, 11),  # sex, port
        missing="",
        # boat, body and home.dest tell who was saved
        openml=OpenML(
            40945,
            rows=1309,
            columns=13,
            drop=("name", "ticket", "cabin", "boat", "body", "home.dest"),
            sha256="508299f106b1610441048a6edf5e486089c2bc5fe2c26933e8d6c01ef132942b",
        ),
    ),
    Table(
        name="pima",
        title="Pima Indians' diabetes",
        file="uci/pima-indians-diabetes/pima-indians-diabetes.data",
        sha256="06f5b7c2cd7bca686fda4f92eab5f61e7ff6426a9acefa2e3dda04fc54293cf5",
        rows=768,
        features=8,
        classes=2,
        openml=OpenML(37, rows=768, columns=8),
    ),
    Table(
        name="mushroom",
        title="Mushroom",
        file="uci/mushroom/agaricus-lepiota.data",
        sha256="e65d082030501a3ebcbcd7c9f7c71aa9d28fdfff463bf4cf4716a3fe13ac360e",
        rows=8124,
        features=117,
        classes=2,
        target=0,
        categorical=tuple(range(1, 23)),  # "?" of the stalk's root is a value like others
        openml=OpenML(24, rows=8124, columns=22),
    ),
)
