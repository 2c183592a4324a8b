package imgrec.example

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.ImageDecoder
import android.net.Uri
import android.os.Bundle
import android.widget.Button
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.TextView
import com.google.mediapipe.framework.image.BitmapImageBuilder
import com.google.mediapipe.tasks.core.BaseOptions
import com.google.mediapipe.tasks.vision.imageclassifier.ImageClassifier
import kotlin.concurrent.thread

private const val MODEL = "model.tflite"
private const val CHOOSE = 1

/** Choose a picture, see what `model.tflite` says of it. Names and probabilities come from the file. */
class MainActivity : Activity() {
    private lateinit var classifier: ImageClassifier
    private lateinit var preprocess: Preprocess
    private lateinit var picture: ImageView
    private lateinit var answer: TextView

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        picture = ImageView(this).apply { adjustViewBounds = true }
        answer = TextView(this).apply { textSize = 20f }
        val choose = Button(this).apply {
            text = "Choose a picture"
            setOnClickListener {
                startActivityForResult(Intent(Intent.ACTION_GET_CONTENT).setType("image/*"), CHOOSE)
            }
        }
        setContentView(LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            fitsSystemWindows = true
            listOf(choose, answer, picture).forEach(::addView)
        })
        preprocess = Preprocess.parse(assets.open("preprocess.json").bufferedReader().use { it.readText() })
        val options = ImageClassifier.ImageClassifierOptions.builder()
            .setBaseOptions(BaseOptions.builder().setModelAssetPath(MODEL).build())
            .setMaxResults(5)
            .build()
        classifier = ImageClassifier.createFromOptions(this, options)
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        val uri = data?.data
        if (request != CHOOSE || result != RESULT_OK || uri == null) return
        thread { recognise(uri) }
    }

    private fun recognise(uri: Uri) {
        val said = try {
            val bitmap = read(uri)
            runOnUiThread { picture.setImageBitmap(bitmap) }
            lines(bitmap)
        } catch (error: Exception) {
            "This picture cannot be read: ${error.message}"
        }
        runOnUiThread { answer.text = said }
    }

    /** Upright, in memory that can be read. */
    private fun read(uri: Uri): Bitmap =
        ImageDecoder.decodeBitmap(ImageDecoder.createSource(contentResolver, uri)) { decoder, _, _ ->
            decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
        }

    private fun lines(bitmap: Bitmap): String {
        val image = BitmapImageBuilder(preprocess.fit(bitmap)).build()
        val categories = synchronized(classifier) { classifier.classify(image) }
            .classificationResult().classifications()[0].categories()
        return categories.joinToString("\n") { "%s  %.1f %%".format(it.categoryName(), 100 * it.score()) }
    }

    override fun onDestroy() {
        super.onDestroy()
        classifier.close()
    }
}
