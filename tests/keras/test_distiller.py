"""The Distiller: its loss, its logs, its frozen teacher, on either backend, saved and loaded."""

import json

import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from edgekd.errors import EdgekdError

keras = pytest.importorskip("keras")
pytest.importorskip("keras.distillation")
from edgekd.keras import Distiller  # noqa: E402
from edgekd.keras import answers as keras_answers  # noqa: E402

# Keras 3.15 saves tensorflow's variables through an __array__ that NumPy 2 finds old-fashioned.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
ENDINGS = [(3, None), (3, "softmax"), (2, None), (2, "softmax"), (1, None), (1, "sigmoid")]


def as_logits(outputs, ending):
    """[N, K] of a model's outputs, in float64, by the definitions."""
    z = np.asarray(outputs, np.float64)
    z = {"softmax": np.log, "sigmoid": scipy.special.logit}.get(ending, np.asarray)(z)
    return z if z.shape[1] > 1 else np.concatenate([np.zeros_like(z), z], axis=1)


def losses(teacher, student, y, temperature):
    """Cross-entropy and T² KL, batch means, of logits [N, K]."""
    log_s, log_t = (scipy.special.log_softmax(z / temperature, axis=1) for z in (student, teacher))
    task = -scipy.special.log_softmax(student, axis=1)[np.arange(len(y)), y].mean()
    return task, temperature**2 * (np.exp(log_t) * (log_t - log_s)).sum(1).mean()


def test_the_divergence_is_the_one_counted_by_hand():
    # T = 2: p_T = (3/4, 1/4), p_S = (1/2, 1/2); KL = 3/4 ln 3/2 + 1/4 ln 1/2.
    teacher, student = np.array([[2 * np.log(3), 0.0]], "float32"), np.zeros((1, 2), "float32")
    found = float(keras_answers.divergence(teacher, student, 2.0))
    assert found == pytest.approx(4 * (0.75 * np.log(1.5) + 0.25 * np.log(0.5)), rel=1e-5)
    assert float(keras_answers.divergence(teacher, teacher, 2.0)) == 0


def test_the_divergence_is_that_of_torch_students():
    torch = pytest.importorskip("torch")
    from edgekd.distillation.losses.kd import kd

    teacher, student = np.random.default_rng(0).normal(0, 3, (2, 16, 5)).astype("float32")
    ours = float(keras_answers.divergence(teacher, student, 5.0))
    theirs = float(kd(torch.tensor(student), torch.tensor(teacher), torch.zeros(16), 5.0))
    assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(("outputs", "ending"), ENDINGS)
def test_training_logs_the_losses_of_either_ending(classifier, pictures, outputs, ending):
    x, y = pictures
    y = y % max(outputs, 2)
    teacher, student = classifier(outputs, ending, seed=1, width=6), classifier(outputs, ending, seed=2)
    z = [as_logits(keras.ops.convert_to_numpy(m(x)), ending) for m in (teacher, student)]
    distiller = Distiller(student=student, teacher=teacher, temperature=3.0, alpha=0.3)
    x_in = keras.ops.convert_to_tensor(x)
    total = distiller_loss(distiller, x_in, y)
    task, soft = losses(*z, y, 3.0)
    assert total == pytest.approx(0.3 * task + 0.7 * soft, rel=2e-4)
    one_hot = np.eye(max(outputs, 2))[y]
    assert distiller_loss(distiller, x_in, one_hot) == pytest.approx(total, rel=1e-6)


def distiller_loss(distiller, x, y):
    distiller.compile("sgd")
    # The small model's batch normalization would answer otherwise in training: the loss of given outputs is asked for.
    return float(keras.ops.convert_to_numpy(distiller.compute_loss(x, y, distiller.student(x))))


@pytest.mark.parametrize(("outputs", "ending"), ENDINGS)
def test_the_metrics_are_those_of_scikit_learn(classifier, pictures, outputs, ending):
    x, y = pictures
    classes = max(outputs, 2)
    y = y % classes
    distiller = Distiller(student=classifier(outputs, ending, 5), teacher=classifier(outputs, ending, 6))
    distiller.compile("sgd")
    found = distiller.evaluate(x, y, batch_size=7, return_dict=True, verbose=0)
    p = scipy.special.softmax(as_logits(distiller.student.predict(x, verbose=0), ending), axis=1)
    answers = p.argmax(1)
    scoring = {"average": "binary" if classes == 2 else "macro", "zero_division": 0}
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(y, answers), abs=1e-6)
    assert found["precision"] == pytest.approx(sklearn.metrics.precision_score(y, answers, **scoring), abs=1e-6)
    assert found["recall"] == pytest.approx(sklearn.metrics.recall_score(y, answers, **scoring), abs=1e-6)
    auc = (
        sklearn.metrics.roc_auc_score(y, p[:, 1])
        if classes == 2
        else sklearn.metrics.roc_auc_score(y, p, multi_class="ovr")
    )
    assert found["auc"] == pytest.approx(auc, abs=0.01)  # ties of a bin
    assert found["loss"] == pytest.approx(-np.log(p[np.arange(len(y)), y]).mean(), rel=1e-3)
    assert found["student_loss"] == pytest.approx(found["loss"], rel=1e-5)


def test_fit_teaches_the_student_and_leaves_the_teacher_as_it_is(classifier, pictures):
    x, y = pictures
    teacher, student = classifier(3, "softmax", 1), classifier(3, "softmax", 2)
    before = [w.tobytes() for w in teacher.get_weights()], [w.tobytes() for w in student.get_weights()]
    distiller = Distiller(student=student, teacher=teacher)
    distiller.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    history = distiller.fit(x, y, validation_data=(x, y), epochs=3, batch_size=8, verbose=0).history
    assert [w.tobytes() for w in teacher.get_weights()] == before[0]
    assert all(a != b.tobytes() for a, b in zip(before[1], student.get_weights(), strict=True))
    trained = {"accuracy", "loss", "total_loss", "student_loss", "distillation_loss"}
    assert history.keys() == trained | {"val_accuracy", "val_loss", "val_student_loss"}
    half = 0.5 * (np.array(history["student_loss"]) + np.array(history["distillation_loss"]))
    np.testing.assert_allclose(history["total_loss"], half, rtol=1e-5)
    np.testing.assert_allclose(history["loss"], half, rtol=1e-5)
    assert history["total_loss"][-1] < history["total_loss"][0]


def test_evaluate_never_asks_the_teacher(classifier, pictures):
    x, y = pictures
    teacher = classifier(3, None, 1)
    distiller = Distiller(student=classifier(3, None, 2), teacher=teacher)
    distiller.compile("sgd")
    first = distiller.evaluate(x, y, return_dict=True, verbose=0)
    teacher.set_weights([np.full_like(w, np.nan) for w in teacher.get_weights()])
    assert distiller.evaluate(x, y, return_dict=True, verbose=0) == pytest.approx(first)
    assert not {"distillation_loss", "total_loss"} & first.keys()


def test_class_weights_and_penalties_count(classifier, pictures):
    x, y = pictures
    student = classifier(3, None, 2, penalty=keras.regularizers.L2(0.5))
    distiller = Distiller(student=student, teacher=classifier(3, None, 1), alpha=1.0)
    distiller.compile("sgd")
    outputs, weights = student(x), np.array([0.0, 2.0, 1.0], "float32")[y]
    log_p = scipy.special.log_softmax(keras.ops.convert_to_numpy(outputs).astype(float), axis=1)
    task = (-log_p[np.arange(len(y)), y] * weights).mean()
    penalty = 0.5 * (student.get_weights()[-2] ** 2).sum()
    found = float(keras.ops.convert_to_numpy(distiller.compute_loss(x, y, outputs, weights)))
    assert found == pytest.approx(task + penalty, rel=1e-4)


def test_saved_and_loaded_it_goes_on(classifier, pictures, tmp_path):
    x, y = pictures
    distiller = Distiller(
        student=classifier(1, "sigmoid", 2), teacher=classifier(1, None, 1), temperature=4, alpha=0.25
    )
    distiller.compile(keras.optimizers.Adam(0.01))
    distiller.fit(x, y % 2, epochs=2, verbose=0)
    distiller.save(tmp_path / "distiller.keras")
    loaded = keras.saving.load_model(tmp_path / "distiller.keras")
    assert (loaded.temperature, loaded.alpha, loaded.classes) == (4.0, 0.25, 2)
    for a, b in zip(distiller.get_weights(), loaded.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
    measured = [d.evaluate(x, y % 2, return_dict=True, verbose=0) for d in (distiller, loaded)]
    assert measured[0] == pytest.approx(measured[1])
    more = [d.fit(x, y % 2, epochs=1, verbose=0, shuffle=False).history for d in (distiller, loaded)]
    assert more[0]["total_loss"] == pytest.approx(more[1]["total_loss"])
    distiller.student.save(tmp_path / "student.keras")
    assert keras.saving.load_model(tmp_path / "student.keras").count_params() == distiller.student.count_params()


def test_both_backends_learn_the_same(run_keras):
    found = [json.loads(run_keras(backend, "distil_tiny.py").splitlines()[-1]) for backend in ("tensorflow", "torch")]
    assert [f.pop("backend") for f in found] == ["tensorflow", "torch"]
    for name, values in found[0].items():
        np.testing.assert_allclose(values, found[1][name], rtol=2e-3, atol=1e-5, err_msg=name)


def test_what_does_not_fit_is_one_error(classifier):
    good, frozen = classifier(3, None), classifier(3, None)
    frozen.trainable = False
    subclassed = type("Own", (keras.Model,), {})()
    tanh = classifier(3, "tanh")
    for models, said in [
        ({"student": good, "teacher": classifier(2, None)}, "as many outputs"),
        ({"student": good, "teacher": subclassed}, "functional or sequential"),
        ({"student": tanh, "teacher": good}, "'tanh'"),
        ({"student": frozen, "teacher": good}, "weights that learn"),
        ({"student": "model.keras", "teacher": good}, "a Keras model"),
        ({"student": good, "teacher": good, "temperature": 0}, "above 0"),
        ({"student": good, "teacher": good, "alpha": 1.5}, "of 0 to 1"),
    ]:
        with pytest.raises(EdgekdError, match=said):
            Distiller(**models)
    with pytest.raises(EdgekdError, match="leave it out"):
        Distiller(student=good, teacher=classifier(3, None, 1)).compile("sgd", loss="mse")
